#include "engine/engine.h"

#include "engine/changes.h"
#include "engine/dispatch.h"
#include "engine/greeting.h"
#include "engine/pool.h"
#include "engine/subset.h"
#include "engine/trial.h"
#include "wire/pages.h"

#include <stdlib.h>
#include <string.h>

/* The most that one reception may bring in, which bounds the work before other
 * connections and the deadlines are looked at again. */
#define SHARED_ROOM 262144

bool jrc_engine_init(struct jrc_engine *engine, struct jrc_servers *servers,
                     struct jrc_calls *calls, const struct jrc_framing *framing,
                     const jsonrpcc_options *options,
                     const struct jrc_sink *sink, uint64_t seed)
{
    memset(engine, 0, sizeof *engine);
    engine->servers = servers;
    engine->calls = calls;
    engine->options = *options;
    engine->sink = *sink;
    engine->random = seed | 1;
    engine->todo_first = engine->leaving = JRC_NO_CONN;
    engine->wanted_us = engine->names_us = JRC_NEVER;
    engine->discovery.refresh_us = (uint64_t)options->dns_refresh_ms * 1000;
    engine->discovery.min_us = (uint64_t)options->dns_min_ms * 1000;
    engine->discovery.srv_us = (uint64_t)options->min_srv_ttl_ms * 1000;
    engine->discovery.patience_us =
        (uint64_t)options->connect_timeout_ms * 1000;
    engine->discovery.max = options->max_servers;
    engine->discovery.seed = seed;
    engine->outlook = JRC_OUTLOOK_PENDING;
    engine->shared.framing = framing;
    engine->shared.room = SHARED_ROOM;
    engine->shared.bytes = malloc(SHARED_ROOM);
    jrc_pool_set_up(engine);
    jrc_subset_set_up(servers, options->subset, seed,
                      (uint64_t)options->connect_timeout_ms * 1000);
    engine->conns =
        jrc_pages_new(servers->max * engine->width, sizeof *engine->conns);
    engine->tally_count =
        options->max_methods > 0 ? (size_t)options->max_methods + 1 : 1;
    engine->tallies =
        jrc_pages_new(engine->tally_count, sizeof *engine->tallies);
    if (engine->conns != NULL && engine->shared.bytes != NULL &&
        engine->tallies != NULL)
        return true;
    jrc_engine_clear(engine);
    return false;
}

void jrc_engine_clear(struct jrc_engine *engine)
{
    for (uint32_t i = 0;
         engine->conns != NULL && i < jrc_engine_conn_count(engine); i++) {
        jrc_hello_unref(engine->conns[i].greeting.hello);
        jrc_frames_clear(&engine->conns[i].out);
        jrc_input_clear(&engine->conns[i].in);
    }
    jrc_pages_free(engine->conns, engine->servers->max * engine->width,
                   sizeof *engine->conns);
    jrc_hello_unref(engine->hello);
    jrc_server_list_clear(&engine->wanted);
    jrc_discovery_clear(&engine->discovery);
    jrc_pages_free(engine->tallies, engine->tally_count,
                   sizeof *engine->tallies);
    free(engine->shared.bytes);
    jrc_frames_clear(&engine->waiting);
    jrc_frames_clear(&engine->spare);
    memset(engine, 0, sizeof *engine);
}

bool jrc_engine_next(struct jrc_engine *engine, struct jrc_action *action)
{
    static const uint32_t order[] = {JRC_SHUT, JRC_OPEN, JRC_NEXT_ADDRESS,
                                     JRC_WRITE, JRC_MEASURE};

    if (engine->todo_first == JRC_NO_CONN)
        return false;
    struct jrc_conn *conn = &engine->conns[engine->todo_first];
    action->conn = engine->todo_first;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if ((conn->todo & order[i]) == 0)
            continue;
        action->todo = order[i];
        conn->todo &= ~order[i];
        break;
    }
    if (conn->todo == 0)
        engine->todo_first = conn->todo_next;
    return true;
}

void jrc_engine_submit(struct jrc_engine *engine, struct jrc_frames *frames,
                       uint64_t now_us)
{
    /* Calls that are already waiting go first: a server may be ready for
     * them. */
    if (!jrc_frames_empty(&engine->waiting))
        jrc_dispatch_flush_waiting(engine, now_us);
    if (!engine->closing && jrc_dispatch_block(engine, frames, now_us))
        return;
    jrc_trial_choose(engine, frames, now_us);
    while (!jrc_frames_empty(frames)) {
        const char *bytes;
        const struct jrc_frame *frame = jrc_frames_first(frames, &bytes);
        struct jrc_call *call = jrc_calls_slot(engine->calls, frame->id);

        jrc_calls_watch(engine->calls, call);
        call->given_us = 0;
        if (engine->closing)
            jrc_dispatch_fail(engine, call, JSONRPCC_ECLOSED, 0, now_us);
        else
            jrc_dispatch_call(engine, call, bytes, frame->len, now_us);
        if (frame->id == engine->chosen)
            engine->chosen = 0;
        jrc_frames_drop_first(frames);
    }
    engine->chosen = 0;
}

void jrc_engine_set_reading(struct jrc_engine *engine, bool reading,
                            uint64_t now_us)
{
    if (reading == (engine->reading_us != JRC_NEVER))
        return;
    engine->reading_us = reading ? now_us : JRC_NEVER;
    if (!reading)
        return;
    /* Trials start over: their responses may be about to be read. */
    for (uint32_t i = 0; i < jrc_engine_conn_count(engine); i++) {
        struct jrc_conn *conn = &engine->conns[i];
        enum jrc_server_state state = conn->state;
        jrc_greeting_resume(engine, i, now_us);
        if (state == JRC_SERVER_CONNECTING || state == JRC_SERVER_GREETING ||
            conn->deadline_us == JRC_NEVER)
            continue;
        conn->deadline_us = state == JRC_SERVER_LEAVING
                                ? jrc_changes_end_us(engine, now_us)
                                : now_us + engine->servers->trial_time_us;
        jrc_engine_attend(engine, conn->deadline_us);
    }
}

void jrc_engine_cancel(struct jrc_engine *engine, uint64_t id, uint64_t now_us)
{
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (call != NULL)
        jrc_dispatch_fail(engine, call, JSONRPCC_ECANCELLED, 0, now_us);
}

void jrc_engine_close(struct jrc_engine *engine, uint64_t now_us,
                      uint64_t linger_us)
{
    struct jrc_calls *calls = engine->calls;

    engine->closing = true;
    for (uint32_t i = 0; i < calls->high; i++) {
        struct jrc_call *call = &calls->slots[i];
        if (call->active == 0)
            continue;
        if ((call->flags & JSONRPCC_NOTIFICATION) == 0) {
            jrc_dispatch_fail(engine, call, JSONRPCC_ECLOSED, 0, now_us);
        } else if (calls->deadlines[i] > now_us + linger_us) {
            jrc_calls_set_deadline(calls, call, now_us + linger_us);
        }
    }
}

bool jrc_engine_finished(const struct jrc_engine *engine)
{
    for (uint32_t i = 0; i < engine->calls->high; i++)
        if (engine->calls->slots[i].active != 0)
            return false;
    return true;
}
