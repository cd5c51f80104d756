#include "engine/engine.h"

#include "engine/changes.h"
#include "engine/connection.h"
#include "engine/dispatch.h"
#include "engine/names.h"
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
    engine->conns = jrc_pages_new(servers->max, sizeof *engine->conns);
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
    for (size_t i = 0; engine->conns != NULL && i < engine->servers->count;
         i++) {
        jrc_frames_clear(&engine->conns[i].out);
        jrc_input_clear(&engine->conns[i].in);
    }
    jrc_pages_free(engine->conns, engine->servers->max, sizeof *engine->conns);
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
                                     JRC_WRITE};

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
    for (uint32_t i = 0; i < engine->servers->count; i++) {
        struct jrc_conn *conn = &engine->conns[i];
        enum jrc_server_state state = engine->servers->list[i].state;
        if (state == JRC_SERVER_CONNECTING || conn->deadline_us == JRC_NEVER)
            continue;
        conn->deadline_us = state == JRC_SERVER_LEAVING
                                ? jrc_changes_end_us(engine, now_us)
                                : now_us + engine->servers->cap_us;
        jrc_engine_attend(engine, conn->deadline_us);
    }
}

void jrc_engine_cancel(struct jrc_engine *engine, uint64_t id, uint64_t now_us)
{
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (call != NULL)
        jrc_dispatch_fail(engine, call, JSONRPCC_ECANCELLED, 0, now_us);
}

/* ---- time ---- */

static void expire(struct jrc_engine *engine, struct jrc_call *call,
                   uint64_t now_us)
{
    uint32_t i = (uint32_t)call->server;
    bool given = call->state == JRC_CALL_SENT || call->state == JRC_CALL_QUEUED;
    bool trial = (call->role & JRC_TRIAL) != 0;
    bool closed = engine->closing;

    jrc_dispatch_fail(engine, call,
                      closed ? JSONRPCC_ECLOSED : JSONRPCC_ETIMEDOUT, 0,
                      now_us);
    if (!given || closed)
        return;
    jrc_add(&engine->conns[i].timeouts, 1);
    if (call->start_us < engine->reading_us)
        return; /* its response may lie in our own buffer */
    if (jrc_servers_timed_out(engine->servers, i, now_us, trial,
                              jrc_engine_roll(engine))) {
        engine->conns[i].deadline_us = JRC_NEVER;
        jrc_trial_mark_elders(engine, i);
        atomic_store_explicit(&engine->conns[i].reason, JSONRPCC_UNRESPONSIVE,
                              memory_order_relaxed);
        jrc_engine_emit(engine, JSONRPCC_SUSPECT, i, JSONRPCC_UNRESPONSIVE,
                        now_us);
        jrc_dispatch_reroute_unsent(engine, i, now_us);
    }
}

/* A suspect's connection has brought no response since its trial.  The server
 * may be well and the connection dead without notice, for example because a
 * router has forgotten it: try a new one.  Calls that were sent before the
 * suspicion and still wait may just be slow, and are left alone. */
static void renew(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_call *slots = engine->calls->slots;

    if (conn->sent.count > 0 &&
        (slots[conn->sent.first].role & JRC_ELDER) != 0) {
        conn->deadline_us = now_us + engine->servers->cap_us;
        return;
    }
    conn->deadline_us = JRC_NEVER;
    if (!jrc_servers_renew(engine->servers, i, now_us))
        return;
    jrc_engine_want(engine, i, JRC_SHUT);
    jrc_engine_on_disconnect(engine, i, true, JSONRPCC_UNRESPONSIVE, now_us);
}

/* The time for a connection's trial is up. */
static void end_time(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    if (engine->servers->list[i].state == JRC_SERVER_SUSPECT) {
        renew(engine, i, now_us);
        return;
    }
    /* It took a notification, and has stayed up since. */
    engine->conns[i].deadline_us = JRC_NEVER;
    jrc_servers_answered(engine->servers, i, now_us);
}

/* Start attempts that are due, stop addresses that take too long, and renew
 * connections whose trial failed. */
static void tick_conns(struct jrc_engine *engine, uint64_t now_us)
{
    uint64_t soonest = JRC_NEVER;

    for (uint32_t i = 0; i < engine->servers->count; i++) {
        const struct jrc_server *server = &engine->servers->list[i];
        struct jrc_conn *conn = &engine->conns[i];
        bool doubted = server->state == JRC_SERVER_SUSPECT ||
                       server->state == JRC_SERVER_PROVING;
        if (doubted && conn->deadline_us <= now_us &&
            engine->reading_us != JRC_NEVER)
            end_time(engine, i, now_us);
        if (server->state == JRC_SERVER_DOWN && server->next_us <= now_us) {
            jrc_servers_attempt(engine->servers, i, now_us);
            conn->deadline_us = JRC_NEVER;
            jrc_engine_want(engine, i, JRC_OPEN);
        } else if (server->state == JRC_SERVER_CONNECTING &&
                   conn->deadline_us <= now_us) {
            conn->deadline_us = JRC_NEVER;
            jrc_engine_want(engine, i, JRC_NEXT_ADDRESS);
        }
        uint64_t due = JRC_NEVER;
        if (server->state == JRC_SERVER_DOWN)
            due = server->next_us;
        else if (server->state == JRC_SERVER_CONNECTING ||
                 (server->state != JRC_SERVER_UP &&
                  server->state != JRC_SERVER_GONE &&
                  engine->reading_us != JRC_NEVER))
            due = conn->deadline_us;
        if (due < soonest)
            soonest = due;
    }
    engine->conns_us = soonest;
}

void jrc_engine_tick(struct jrc_engine *engine, uint64_t now_us)
{
    if (now_us >= engine->calls->soonest_us) {
        uint32_t at = 0;
        struct jrc_call *call;
        do {
            call = jrc_calls_expired(engine->calls, now_us, &at);
            if (call != NULL)
                expire(engine, call, now_us);
        } while (call != NULL);
    }
    /* Even while closing: what lingers may be waiting for a first attempt. */
    if (now_us >= engine->conns_us)
        tick_conns(engine, now_us);
    if (now_us >= engine->names_us)
        jrc_names_tick(engine, now_us);
    if (jrc_changes_pending(engine))
        jrc_changes_tick(engine, now_us);
    jrc_dispatch_flush_waiting(engine, now_us);
}

uint64_t jrc_engine_next_us(const struct jrc_engine *engine)
{
    uint64_t next_us = engine->calls->soonest_us;

    if (engine->conns_us < next_us)
        next_us = engine->conns_us;
    if (engine->names_us < next_us)
        next_us = engine->names_us;
    if (engine->wanted_us < next_us)
        next_us = engine->wanted_us;
    if (engine->outlook == JRC_OUTLOOK_PENDING &&
        engine->servers->ready_count > 0 &&
        engine->servers->choice_us < next_us)
        next_us = engine->servers->choice_us;
    return next_us;
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
