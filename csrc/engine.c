#include "engine.h"

#include "message.h"
#include "netstring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An idempotent call is sent at most so often: a request that kills servers
 * must not kill them all. */
#define MAX_SENDS 3

/* What one reception may bring in: the bound of the work between two looks at
 * other connections and at the deadlines. */
#define SHARED_ROOM 65536

#define NO_CONN UINT32_MAX

/* What calls that find no server may expect. */
enum { OUTLOOK_READY, OUTLOOK_PENDING, OUTLOOK_DOWN, OUTLOOK_HOPELESS };

bool jrc_engine_init(struct jrc_engine *engine, struct jrc_servers *servers,
                     struct jrc_calls *calls, const struct jrc_limits *limits,
                     const struct jrc_sink *sink, uint64_t seed)
{
    memset(engine, 0, sizeof *engine);
    engine->servers = servers;
    engine->calls = calls;
    engine->limits = *limits;
    engine->sink = *sink;
    engine->random = seed | 1;
    engine->todo_first = NO_CONN;
    engine->outlook = OUTLOOK_PENDING;
    engine->shared.room = SHARED_ROOM;
    engine->shared.bytes = malloc(SHARED_ROOM);
    engine->conns = calloc(servers->count, sizeof *engine->conns);
    if (engine->conns != NULL && engine->shared.bytes != NULL)
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
    free(engine->conns);
    free(engine->shared.bytes);
    jrc_frames_clear(&engine->waiting);
    memset(engine, 0, sizeof *engine);
}

/* xorshift64*: only spreads reconnects, guards nothing. */
static uint32_t roll(struct jrc_engine *engine)
{
    engine->random ^= engine->random >> 12;
    engine->random ^= engine->random << 25;
    engine->random ^= engine->random >> 27;
    return (uint32_t)((engine->random * 0x2545f4914f6cdd1dULL) >> 32);
}

static void want(struct jrc_engine *engine, uint32_t i, uint32_t todo)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (conn->todo == 0) {
        conn->todo_next = engine->todo_first;
        engine->todo_first = i;
    }
    conn->todo |= todo;
}

bool jrc_engine_next(struct jrc_engine *engine, struct jrc_action *action)
{
    static const uint32_t order[] = {JRC_SHUT, JRC_OPEN, JRC_NEXT_ADDRESS,
                                     JRC_WRITE};

    if (engine->todo_first == NO_CONN)
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

static void tell(struct jrc_engine *engine, jsonrpcc_event_kind kind,
                 uint32_t i, int32_t reason, uint64_t now_us)
{
    jsonrpcc_event event = {kind, (int32_t)i, reason, now_us};

    engine->sink.event(engine->sink.arg, &event);
}

/* Show other threads what the policy thinks of server i. */
static void publish(struct jrc_engine *engine, uint32_t i)
{
    struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_server *server = &engine->servers->list[i];

    atomic_store_explicit(&conn->state, (int32_t)server->state,
                          memory_order_relaxed);
    atomic_store_explicit(&conn->since_us, server->since_us,
                          memory_order_relaxed);
}

/* ---- the end of a call ---- */

/* Whether the frame of a queued call has begun to leave: then it can not be
 * held back any more. */
static bool has_begun(const struct jrc_engine *engine,
                      const struct jrc_call *call)
{
    if (call->state != JRC_CALL_QUEUED)
        return false;
    const struct jrc_frames *out = &engine->conns[call->server].out;
    return out->written > 0 && out->list[out->first].id == call->id;
}

static bool is_dead(const void *arg, uint64_t id)
{
    return jrc_calls_find(arg, id) == NULL;
}

/* Leave out the dead frames of a queue. */
static void purge(struct jrc_engine *engine, struct jrc_frames *frames)
{
    size_t before = jrc_frames_size(frames);

    jrc_frames_purge(frames, is_dead, engine->calls);
    engine->held_bytes -= before - jrc_frames_size(frames);
}

/* The frame of a call that ended stays behind in a queue: sweep before half
 * of the bytes are such.  They are held against the bound of queued bytes. */
static void count_dead(struct jrc_engine *engine, struct jrc_frames *frames,
                       size_t len)
{
    frames->dead += len;
    if (frames->dead > jrc_frames_size(frames) / 2)
        purge(engine, frames);
}

/* Take the call from whoever owns it and tell its outcome: the only way a call
 * ends. */
static void finish(struct jrc_engine *engine, struct jrc_call *call,
                   jsonrpcc_outcome *outcome, uint64_t now_us)
{
    uint8_t state = call->state;
    int32_t server = call->server;

    outcome->server = server;
    outcome->sends = call->sends;
    outcome->elapsed_us = now_us > call->start_us ? now_us - call->start_us : 0;
    if (state == JRC_CALL_SENT) {
        struct jrc_conn *conn = &engine->conns[server];
        jrc_call_list_remove(engine->calls, &conn->sent, call);
        atomic_store_explicit(&conn->in_flight, conn->sent.count,
                              memory_order_relaxed);
    }
    jrc_calls_take(engine->calls, call);
    if (state == JRC_CALL_QUEUED)
        count_dead(engine, &engine->conns[server].out, call->frame_len);
    else if (state == JRC_CALL_WAITING)
        count_dead(engine, &engine->waiting, call->frame_len);
    jrc_add(&engine->counters.outcomes[outcome->status], 1);
    if (outcome->fate == JSONRPCC_ANSWERED)
        jrc_add(&engine->counters.latency[jrc_bucket(outcome->elapsed_us)], 1);
    engine->sink.outcome(engine->sink.arg, call, outcome);
}

static void fail(struct jrc_engine *engine, struct jrc_call *call,
                 jsonrpcc_status status, int32_t reason, uint64_t now_us)
{
    bool gone = call->sends > 0 || has_begun(engine, call);
    jsonrpcc_outcome outcome = {
        .status = status,
        .fate = gone ? JSONRPCC_UNKNOWN : JSONRPCC_NOT_SENT,
        .reason = reason,
    };

    finish(engine, call, &outcome, now_us);
}

/* ---- the way of a call ---- */

/* Why no server could be reached: the best server's last trouble. */
static int32_t worst_reason(const struct jrc_engine *engine)
{
    uint32_t best = UINT32_MAX;
    int32_t reason = JSONRPCC_NO_REASON;

    for (size_t i = 0; i < engine->servers->count; i++) {
        uint32_t group = engine->servers->list[i].group;
        if (group < best) {
            best = group;
            reason = engine->conns[i].reason;
        }
    }
    return reason;
}

static int look_out(struct jrc_engine *engine, uint64_t now_us)
{
    int32_t next = jrc_servers_peek(engine->servers, now_us);

    if (next >= 0)
        return OUTLOOK_READY;
    if (next == JRC_SERVER_PENDING)
        return OUTLOOK_PENDING;
    return jrc_servers_hopeful(engine->servers) ? OUTLOOK_DOWN
                                                : OUTLOOK_HOPELESS;
}

static void wait_for_server(struct jrc_engine *engine, struct jrc_call *call,
                            const char *bytes, size_t len, uint64_t now_us)
{
    if (!jrc_frames_append(&engine->waiting, call->id, bytes, len)) {
        fail(engine, call, JSONRPCC_ENOMEM, 0, now_us);
        return;
    }
    call->state = JRC_CALL_WAITING;
    engine->held_bytes += len;
}

/* Round robin, but a server that does not take what it was given already has
 * its turn passed on, as long as another one does.  And it is not tried: the
 * call would wait for nothing but its deadline. */
static int32_t pick(struct jrc_engine *engine, uint64_t now_us, bool *trial)
{
    int32_t picked = jrc_servers_pick(engine->servers, now_us, trial);

    while (*trial && engine->conns[picked].blocked)
        picked = jrc_servers_pick(engine->servers, now_us, trial);
    for (size_t n = engine->servers->ready_count;
         picked >= 0 && !*trial && engine->conns[picked].blocked && n > 1; n--)
        picked = jrc_servers_pick(engine->servers, now_us, trial);
    return picked;
}

/* Give a call's frame to a server, or let it wait for one, or end it. */
static void route(struct jrc_engine *engine, struct jrc_call *call,
                  const char *bytes, size_t len, uint64_t now_us)
{
    bool trial = false;
    int32_t picked = pick(engine, now_us, &trial);

    call->state = JRC_CALL_HELD;
    if (picked >= 0) {
        uint32_t i = (uint32_t)picked;
        uint32_t group = engine->servers->list[i].group;
        if (group != engine->last_group && !trial) {
            tell(engine,
                 group > engine->last_group ? JSONRPCC_FAILED_OVER
                                            : JSONRPCC_BACK,
                 i, 0, now_us);
            engine->last_group = group;
        }
        if (!jrc_frames_append(&engine->conns[i].out, call->id, bytes, len)) {
            fail(engine, call, JSONRPCC_ENOMEM, 0, now_us);
            return;
        }
        call->state = JRC_CALL_QUEUED;
        call->server = picked;
        engine->held_bytes += len;
        want(engine, i, JRC_WRITE);
        return;
    }
    bool waits = picked == JRC_SERVER_PENDING ||
                 ((call->flags & JSONRPCC_WAIT_FOR_READY) != 0 &&
                  jrc_servers_hopeful(engine->servers));
    if (waits)
        wait_for_server(engine, call, bytes, len, now_us);
    else
        fail(engine, call, JSONRPCC_EFAILURE, worst_reason(engine), now_us);
}

/* Route every live frame of a queue that was taken out of the engine; returns
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
            route(engine, call, bytes, frame->len, now_us);
            routed += call->state == JRC_CALL_QUEUED;
        }
        jrc_frames_drop_first(frames);
    }
    jrc_frames_clear(frames);
    return routed;
}

/* Let waiting calls go on when what they wait for has changed. */
static void review_waiting(struct jrc_engine *engine, uint64_t now_us)
{
    int outlook = look_out(engine, now_us);

    if (outlook == engine->outlook)
        return;
    engine->outlook = outlook;
    struct jrc_frames waiting = engine->waiting;
    memset(&engine->waiting, 0, sizeof engine->waiting);
    engine->held_bytes -= jrc_frames_size(&waiting);
    route_all(engine, &waiting, now_us);
}

void jrc_engine_submit(struct jrc_engine *engine, struct jrc_frames *frames,
                       uint64_t now_us)
{
    while (!jrc_frames_empty(frames)) {
        const char *bytes;
        const struct jrc_frame *frame = jrc_frames_first(frames, &bytes);
        uint64_t mask = engine->calls->capacity - 1;
        struct jrc_call *call = &engine->calls->slots[frame->id & mask];

        jrc_calls_watch(engine->calls, call);
        if (engine->closing)
            fail(engine, call, JSONRPCC_ECLOSED, 0, now_us);
        else
            route(engine, call, bytes, frame->len, now_us);
        jrc_frames_drop_first(frames);
    }
}

void jrc_engine_cancel(struct jrc_engine *engine, uint64_t id, uint64_t now_us)
{
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (call != NULL)
        fail(engine, call, JSONRPCC_ECANCELLED, 0, now_us);
}

/* Move what has not begun to leave away from a server that is no good. */
static void unload(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_frames *out = &engine->conns[i].out;
    struct jrc_frames begun = {0};

    if (engine->servers->list[i].state == JRC_SERVER_SUSPECT &&
        jrc_servers_peek(engine->servers, now_us) == (int32_t)i)
        return; /* there is no other */
    if (out->written > 0) {
        const char *bytes;
        const struct jrc_frame *frame = jrc_frames_first(out, &bytes);
        if (!jrc_frames_append(&begun, frame->id, bytes, frame->len)) {
            jrc_frames_clear(&begun);
            return; /* they stay; no harm but the delay */
        }
        begun.written = out->written;
        jrc_frames_drop_first(out);
    }
    struct jrc_frames rest = *out;
    *out = begun;
    engine->held_bytes -= jrc_frames_size(&rest);
    jrc_add(&engine->counters.moved, route_all(engine, &rest, now_us));
}

/* ---- time ---- */

static void expire(struct jrc_engine *engine, struct jrc_call *call,
                   uint64_t now_us)
{
    uint32_t i = (uint32_t)call->server;
    bool given = call->state == JRC_CALL_SENT || call->state == JRC_CALL_QUEUED;
    bool closed = engine->closing;

    fail(engine, call, closed ? JSONRPCC_ECLOSED : JSONRPCC_ETIMEDOUT, 0,
         now_us);
    if (!given || closed)
        return;
    jrc_add(&engine->conns[i].timeouts, 1);
    if (jrc_servers_timed_out(engine->servers, i, now_us, roll(engine))) {
        atomic_store_explicit(&engine->conns[i].reason, JSONRPCC_UNRESPONSIVE,
                              memory_order_relaxed);
        publish(engine, i);
        tell(engine, JSONRPCC_SUSPECT, i, JSONRPCC_UNRESPONSIVE, now_us);
        unload(engine, i, now_us);
    }
}

/* Start attempts that are due, stop addresses that take too long. */
static void tick_conns(struct jrc_engine *engine, uint64_t now_us)
{
    uint64_t soonest = JRC_NEVER;

    for (uint32_t i = 0; i < engine->servers->count; i++) {
        const struct jrc_server *server = &engine->servers->list[i];
        struct jrc_conn *conn = &engine->conns[i];
        if (server->state == JRC_SERVER_DOWN && server->next_us <= now_us) {
            jrc_servers_attempt(engine->servers, i, now_us);
            conn->deadline_us = JRC_NEVER;
            publish(engine, i);
            want(engine, i, JRC_OPEN);
        } else if (server->state == JRC_SERVER_CONNECTING &&
                   conn->deadline_us <= now_us) {
            conn->deadline_us = JRC_NEVER;
            want(engine, i, JRC_NEXT_ADDRESS);
        }
        uint64_t due = JRC_NEVER;
        if (server->state == JRC_SERVER_DOWN)
            due = server->next_us;
        else if (server->state == JRC_SERVER_CONNECTING)
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
    /* Closing too: what lingers may still be waiting for a first attempt. */
    if (now_us >= engine->conns_us)
        tick_conns(engine, now_us);
    review_waiting(engine, now_us);
}

uint64_t jrc_engine_next_us(const struct jrc_engine *engine)
{
    uint64_t next_us = engine->calls->soonest_us;

    if (engine->conns_us < next_us)
        next_us = engine->conns_us;
    if (engine->outlook == OUTLOOK_PENDING &&
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
            fail(engine, call, JSONRPCC_ECLOSED, 0, now_us);
        } else if (calls->deadlines[i] > now_us + linger_us) {
            calls->deadlines[i] = now_us + linger_us;
            if (calls->deadlines[i] < calls->soonest_us)
                calls->soonest_us = calls->deadlines[i];
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

/* ---- connections ---- */

/* The soonest time at which tick_conns() has something to do may be now. */
static void attend(struct jrc_engine *engine, uint64_t at_us)
{
    if (at_us < engine->conns_us)
        engine->conns_us = at_us;
}

void jrc_engine_connecting(struct jrc_engine *engine, uint32_t i,
                           uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    conn->deadline_us = now_us + engine->limits.connect_timeout_us;
    attend(engine, conn->deadline_us);
}

void jrc_engine_opened(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    jrc_add(&engine->conns[i].connects, 1);
    jrc_servers_up(engine->servers, i, now_us);
    publish(engine, i);
    tell(engine, JSONRPCC_CONNECTED, i, 0, now_us);
    review_waiting(engine, now_us);
}

/* A sent call whose connection is gone: once more if that is allowed. */
static void lose(struct jrc_engine *engine, struct jrc_call *call,
                 int32_t reason, uint64_t now_us)
{
    if ((call->flags & JSONRPCC_IDEMPOTENT) == 0 || call->sends >= MAX_SENDS ||
        engine->closing) {
        fail(engine, call, JSONRPCC_ECONNLOST, reason, now_us);
        return;
    }
    jrc_call_list_remove(engine->calls, &engine->conns[call->server].sent,
                         call);
    jrc_add(&engine->counters.resent, 1);
    route(engine, call, call->copy, call->frame_len, now_us);
}

void jrc_engine_lost(struct jrc_engine *engine, uint32_t i, int32_t reason,
                     uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_server *server = &engine->servers->list[i];
    bool was_up = server->state != JRC_SERVER_CONNECTING;

    jrc_add(was_up ? &conn->losses : &conn->attempts_failed, 1);
    atomic_store_explicit(&conn->reason, reason, memory_order_relaxed);
    jrc_servers_down(engine->servers, i, now_us, roll(engine));
    publish(engine, i);
    attend(engine, server->next_us);
    if (was_up)
        tell(engine, JSONRPCC_LOST, i, reason, now_us);
    else if (!conn->unreachable)
        tell(engine, JSONRPCC_UNREACHABLE, i, reason, now_us);
    conn->unreachable = !was_up;
    jrc_input_clear(&conn->in);
    engine->shared.start = engine->shared.end = 0;
    while (conn->sent.count > 0)
        lose(engine, &engine->calls->slots[conn->sent.first], reason, now_us);
    atomic_store_explicit(&conn->in_flight, 0, memory_order_relaxed);
    /* A frame that had begun to leave never arrives whole: it may move too. */
    conn->out.written = 0;
    conn->blocked = false;
    unload(engine, i, now_us);
    review_waiting(engine, now_us);
}

/* End a connection on our side. */
static void drop(struct jrc_engine *engine, uint32_t i, int32_t reason,
                 uint64_t now_us)
{
    want(engine, i, JRC_SHUT);
    jrc_engine_lost(engine, i, reason, now_us);
}

/* The call that a response of connection i is for, or NULL. */
static struct jrc_call *match(const struct jrc_engine *engine, uint32_t i,
                              uint64_t id)
{
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (call == NULL || call->server != (int32_t)i ||
        (call->flags & JSONRPCC_NOTIFICATION) != 0)
        return NULL;
    /* A server may answer before the frame's last byte, say to refuse it. */
    return call->state == JRC_CALL_SENT || has_begun(engine, call) ? call
                                                                   : NULL;
}

static void answered(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    if (jrc_servers_answered(engine->servers, i, now_us)) {
        publish(engine, i);
        tell(engine, JSONRPCC_TRUSTED, i, 0, now_us);
    }
}

static void handle(struct jrc_engine *engine, uint32_t i, const char *payload,
                   size_t len, uint64_t now_us)
{
    static const jsonrpcc_status statuses[] = {
        [JRC_RESPONSE_RESULT] = JSONRPCC_OK,
        [JRC_RESPONSE_ERROR] = JSONRPCC_EREMOTE,
        [JRC_RESPONSE_INVALID] = JSONRPCC_EINVALID,
    };
    struct jrc_response response;

    jrc_message_read(payload, len, engine->limits.max_depth, &response);
    if (response.kind == JRC_RESPONSE_IGNORED) {
        jrc_add(&engine->counters.ignored, 1);
        return;
    }
    if (response.kind != JRC_RESPONSE_NOBODYS)
        answered(engine, i, now_us); /* a late response is a sign of life */
    struct jrc_call *call =
        response.id == 0 ? NULL : match(engine, i, response.id);
    if (call == NULL) {
        jrc_add(&engine->counters.unmatched, 1);
        return;
    }
    jrc_add(&engine->conns[i].responses, 1);
    jsonrpcc_outcome outcome = {
        .status = statuses[response.kind],
        .fate = JSONRPCC_ANSWERED,
        .json = response.json,
        .json_len = response.json_len,
    };
    finish(engine, call, &outcome, now_us);
}

char *jrc_engine_space(struct jrc_engine *engine, uint32_t i, size_t *room)
{
    return jrc_input_space(&engine->conns[i].in, &engine->shared,
                           engine->limits.max_response, room);
}

void jrc_engine_received(struct jrc_engine *engine, uint32_t i, size_t n,
                         uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    const char *payload;
    size_t len;
    int got;

    jrc_add(&conn->bytes_received, n);
    jrc_input_received(&conn->in, &engine->shared, n);
    while ((got = jrc_input_next(&conn->in, &engine->shared,
                                 engine->limits.max_response, &payload, &len)) >
           0)
        handle(engine, i, payload, len, now_us);
    if (got == 0 && jrc_input_keep(&conn->in, &engine->shared) == 0)
        return;
    if (got == 0) {
        drop(engine, i, ENOMEM, now_us);
        return;
    }
    jrc_add(&engine->counters.bad_frames, 1);
    drop(engine, i,
         got == JRC_NETSTRING_TOO_BIG ? JSONRPCC_FRAME_TOO_BIG
                                      : JSONRPCC_BAD_FRAME,
         now_us);
}

const char *jrc_engine_output(struct jrc_engine *engine, uint32_t i,
                              size_t *len)
{
    struct jrc_frames *out = &engine->conns[i].out;

    if (out->dead > 0)
        purge(engine, out);
    *len = jrc_frames_size(out) - out->written;
    if (*len == 0)
        engine->conns[i].blocked = false; /* what blocked it has ended */
    return out->bytes + out->start + out->written;
}

/* The frame's last byte went: from now on a server may have run it. */
static void commit(struct jrc_engine *engine, uint32_t i, uint64_t id,
                   uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    jrc_add(&conn->sends, 1);
    if (call == NULL)
        return;
    call->sends++;
    if ((call->flags & JSONRPCC_NOTIFICATION) != 0) {
        jsonrpcc_outcome outcome = {.fate = JSONRPCC_UNKNOWN};
        call->state = JRC_CALL_HELD;
        finish(engine, call, &outcome, now_us);
        return;
    }
    call->state = JRC_CALL_SENT;
    jrc_call_list_append(engine->calls, &conn->sent, call);
}

void jrc_engine_sent(struct jrc_engine *engine, uint32_t i, size_t n,
                     uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_frames *out = &conn->out;

    jrc_add(&conn->bytes_sent, n);
    while (n > 0) {
        struct jrc_frame frame = out->list[out->first];
        size_t left = frame.len - out->written;
        if (n < left) {
            out->written += n;
            break;
        }
        n -= left;
        jrc_frames_drop_first(out);
        engine->held_bytes -= frame.len;
        commit(engine, i, frame.id, now_us);
    }
    conn->blocked = !jrc_frames_empty(out);
    atomic_store_explicit(&conn->in_flight, conn->sent.count,
                          memory_order_relaxed);
}
