#include "engine/dispatch.h"

#include "engine/choice.h"
#include "engine/pool.h"
#include "engine/trial.h"

#include <string.h>

/* Why no server could be reached: what last went wrong with the best one. */
static int32_t worst_reason(const struct jrc_engine *engine)
{
    int32_t reason = jrc_discovery_reason(&engine->discovery);
    uint32_t best = UINT32_MAX;

    for (uint32_t i = 0; i < engine->servers->count; i++) {
        uint32_t group = engine->servers->list[i].group;
        if (group < best && !engine->servers->list[i].spare) {
            best = group;
            reason = engine->servers->list[i].reason;
        }
    }
    return reason;
}

static enum jrc_outlook look_out(struct jrc_engine *engine, uint64_t now_us)
{
    int32_t next = jrc_servers_peek(engine->servers, now_us);

    if (next >= 0)
        return JRC_OUTLOOK_READY;
    if (next == JRC_SERVER_PENDING)
        return JRC_OUTLOOK_PENDING;
    return jrc_servers_hopeful(engine->servers) ? JRC_OUTLOOK_DOWN
                                                : JRC_OUTLOOK_HOPELESS;
}

static void wait_for_server(struct jrc_engine *engine, struct jrc_call *call,
                            const char *bytes, size_t len, uint64_t now_us)
{
    if (!jrc_frames_append(&engine->waiting, call->id, bytes, len)) {
        jrc_dispatch_fail(engine, call, JSONRPCC_ENOMEM, 0, now_us);
        return;
    }
    call->state = JRC_CALL_WAITING;
    engine->held_bytes += len;
    /* The call before it may have been the only one that could go. */
    if (engine->outlook == JRC_OUTLOOK_READY)
        engine->outlook = JRC_OUTLOOK_PENDING;
}

void jrc_dispatch_ask(struct jrc_engine *engine, uint64_t now_us)
{
    for (size_t i = 0; i < engine->servers->count; i++)
        jrc_engine_attend(engine, jrc_servers_ask(engine->servers, i, now_us,
                                                  jrc_engine_roll(engine)));
}

/* Whether a server does not take what it already has. */
static bool is_blocked(const void *arg, uint32_t server)
{
    const struct jrc_engine *engine = arg;

    return engine->width == 1 ? engine->conns[server].blocked
                              : jrc_choice_is_blocked(engine, server);
}

/* A server.  Round robin, but one that does not take what it already has is
 * passed over while another one does take it.  Nor is it tried: the call would
 * only wait for its deadline. */
static int32_t pick_server(struct jrc_engine *engine,
                           const struct jrc_call *call, uint64_t now_us,
                           bool *trial)
{
    struct jrc_servers *servers = engine->servers;
    uint64_t end_us = call->start_us + (uint64_t)call->timeout_ms * 1000;
    bool may_try = engine->chosen == 0 || engine->chosen == call->id;
    int32_t picked =
        jrc_servers_pick(servers, now_us, end_us, may_try ? trial : NULL);

    while (*trial) {
        if (!is_blocked(engine, (uint32_t)picked))
            return picked;
        if (servers->list[picked].state == JRC_SERVER_SUSPECT)
            jrc_pool_suspect(engine, (uint32_t)picked,
                             now_us + servers->trial_time_us);
        picked = jrc_servers_pick(servers, now_us, end_us, trial);
    }
    if (picked >= 0 && servers->is_weighted &&
        is_blocked(engine, (uint32_t)picked)) {
        int32_t other = jrc_servers_pick_other(servers, is_blocked, engine);
        return other >= 0 ? other : picked;
    }
    /* All the way round, so that they take turns if all are blocked. */
    size_t left = servers->ready_count > 1 ? servers->ready_count : 0;
    for (; picked >= 0 && is_blocked(engine, (uint32_t)picked) && left > 0;
         left--)
        picked = jrc_servers_pick(servers, now_us, end_us, NULL);
    return picked;
}

/* The connection for the next call; negative: there is none, as above. */
static int32_t pick(struct jrc_engine *engine, const struct jrc_call *call,
                    uint64_t now_us, bool *trial)
{
    int32_t server = pick_server(engine, call, now_us, trial);

    if (server < 0 || engine->width == 1)
        return server;
    bool may_try = engine->chosen == 0 || engine->chosen == call->id;
    return (int32_t)jrc_choice_pick(engine, (uint32_t)server,
                                    call->start_us +
                                        (uint64_t)call->timeout_ms * 1000,
                                    may_try, trial, now_us);
}

void jrc_dispatch_recycle_put(struct jrc_engine *engine, struct jrc_frames *out)
{
    if (!jrc_frames_empty(out) || engine->spare.bytes != NULL)
        return;
    engine->spare = *out;
    memset(out, 0, sizeof *out);
}

static void recycle_take(struct jrc_engine *engine, struct jrc_frames *out)
{
    if (out->bytes != NULL)
        return;
    *out = engine->spare;
    memset(&engine->spare, 0, sizeof engine->spare);
}

/* Report that calls now go to another group.  The way back counts only from the
 * first response on. */
static void note_group(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    const struct jrc_server *server = jrc_engine_server(engine, i);
    uint32_t last = engine->last_group;

    if (server->group == last ||
        (server->group < last && server->state == JRC_SERVER_PROVING))
        return;
    engine->last_group = server->group;
    jrc_engine_emit(engine,
                    server->group > last ? JSONRPCC_FAILED_OVER : JSONRPCC_BACK,
                    i, 0, now_us);
}

/* Any server that is up, or JRC_NO_SERVER. */
static int32_t find_up(const struct jrc_engine *engine)
{
    for (size_t i = 0; i < engine->servers->count; i++)
        if (engine->servers->list[i].state == JRC_SERVER_UP)
            return (int32_t)i;
    return JRC_NO_SERVER;
}

/* A connection that has yet to prove itself is no end of the trouble: behind it
 * may be a load balancer that has no servers. */
static void note_all_down(struct jrc_engine *engine, enum jrc_outlook outlook,
                          uint64_t now_us)
{
    bool down = outlook == JRC_OUTLOOK_DOWN || outlook == JRC_OUTLOOK_HOPELESS;

    if (engine->closing || (!engine->all_down && !down))
        return;
    if (!engine->all_down) {
        engine->all_down = true;
        jrc_engine_emit(engine, JSONRPCC_ALL_DOWN, JRC_NO_CONN,
                        worst_reason(engine), now_us);
    }
    int32_t up = find_up(engine);
    if (up < 0)
        return;
    engine->all_down = false;
    jrc_engine_emit(engine, JSONRPCC_AVAILABLE,
                    jrc_engine_first_conn(engine, (uint32_t)up), 0, now_us);
}

void jrc_dispatch_call(struct jrc_engine *engine, struct jrc_call *call,
                       const char *bytes, size_t len, uint64_t now_us)
{
    bool trial = false;
    int32_t picked = pick(engine, call, now_us, &trial);

    call->state = JRC_CALL_HELD;
    call->role = 0;
    if (picked >= 0) {
        uint32_t i = (uint32_t)picked;
        if (!trial)
            note_group(engine, i, now_us);
        struct jrc_frames *out = &engine->conns[i].out;
        recycle_take(engine, out);
        if (!jrc_frames_append(out, call->id, bytes, len)) {
            jrc_dispatch_fail(engine, call, JSONRPCC_ENOMEM, 0, now_us);
            return;
        }
        call->state = JRC_CALL_QUEUED;
        call->conn = picked;
        call->given_us = now_us;
        call->role = trial ? JRC_TRIAL : 0;
        if (trial)
            jrc_trial_start(engine, call, now_us);
        engine->held_bytes += len;
        jrc_engine_want(engine, i, JRC_WRITE);
        return;
    }
    call->given_us = 0; /* if it was given to one, that was in vain */
    if (picked == JRC_NO_SERVER) {
        /* This may be the first to find out, and the event comes first. */
        note_all_down(engine, JRC_OUTLOOK_DOWN, now_us);
        jrc_dispatch_ask(engine, now_us);
    }
    bool waits = picked == JRC_SERVER_PENDING ||
                 ((call->flags & JSONRPCC_WAIT_FOR_READY) != 0 &&
                  jrc_servers_hopeful(engine->servers));
    if (waits)
        wait_for_server(engine, call, bytes, len, now_us);
    else
        jrc_dispatch_fail(engine, call, JSONRPCC_EFAILURE, worst_reason(engine),
                          now_us);
}

bool jrc_dispatch_block(struct jrc_engine *engine, struct jrc_frames *frames,
                        uint64_t now_us)
{
    int32_t sole = jrc_servers_sole(engine->servers, now_us);

    if (sole < 0)
        return false;
    uint32_t i = jrc_choice_sole(engine, (uint32_t)sole);
    if (i == JRC_NO_CONN)
        return false;
    struct jrc_frames *out = &engine->conns[i].out;
    if (engine->servers->list[sole].group != engine->last_group ||
        !jrc_frames_empty(out))
        return false;
    for (size_t n = frames->first; n < frames->last; n++) {
        struct jrc_call *call =
            jrc_calls_slot(engine->calls, frames->list[n].id);
        jrc_calls_watch(engine->calls, call);
        call->state = JRC_CALL_QUEUED;
        call->conn = (int32_t)i;
        call->given_us = now_us;
    }
    engine->held_bytes += jrc_frames_size(frames);
    recycle_take(engine, out);
    struct jrc_frames empty = *out;
    *out = *frames;
    *frames = empty;
    jrc_engine_want(engine, i, JRC_WRITE);
    return true;
}

/* Route every live frame of a queue that was taken out of the engine.  Returns
 * how many found a server. */
static size_t route_all(struct jrc_engine *engine, struct jrc_frames *frames,
                        uint64_t now_us)
{
    size_t routed = 0;

    while (!jrc_frames_empty(frames)) {
        const char *bytes;
        const struct jrc_frame *frame = jrc_frames_first(frames, &bytes);
        struct jrc_call *call = jrc_calls_find(engine->calls, frame->id);
        if (call != NULL) {
            jrc_dispatch_call(engine, call, bytes, frame->len, now_us);
            routed += call->state == JRC_CALL_QUEUED;
        }
        jrc_frames_drop_first(frames);
    }
    jrc_frames_clear(frames);
    return routed;
}

void jrc_dispatch_flush_waiting(struct jrc_engine *engine, uint64_t now_us)
{
    enum jrc_outlook outlook = look_out(engine, now_us);

    note_all_down(engine, outlook, now_us);
    if (outlook == engine->outlook)
        return;
    engine->outlook = outlook;
    struct jrc_frames waiting = engine->waiting;
    memset(&engine->waiting, 0, sizeof engine->waiting);
    engine->held_bytes -= jrc_frames_size(&waiting);
    route_all(engine, &waiting, now_us);
}

void jrc_dispatch_reroute_unsent(struct jrc_engine *engine, uint32_t i,
                                 uint64_t now_us)
{
    struct jrc_frames *out = &engine->conns[i].out;
    struct jrc_frames begun = {0};

    int32_t next = jrc_servers_peek(engine->servers, now_us);
    uint32_t server = jrc_engine_server_of(engine, i);
    enum jrc_server_state state = engine->servers->list[server].state;
    if (jrc_state_is_connected(engine->conns[i].state) &&
        ((state == JRC_SERVER_SUSPECT && next == (int32_t)server) ||
         (state == JRC_SERVER_LEAVING && next < 0)))
        return; /* there is no other */
    if (!jrc_frames_split(out, &begun))
        return; /* they stay, and are only delayed */
    struct jrc_frames rest = *out;
    *out = begun;
    engine->held_bytes -= jrc_frames_size(&rest);
    jrc_add(&engine->counters.moved, route_all(engine, &rest, now_us));
}
