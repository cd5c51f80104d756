#include "engine/connection.h"

#include "engine/dispatch.h"
#include "engine/greeting.h"
#include "engine/pool.h"
#include "engine/rejected.h"
#include "engine/trial.h"

#include <errno.h>

/* How often an idempotent call is sent at most: a request that kills servers
 * must not kill them all. */
#define MAX_SENDS 3

/* ---- up and down ---- */

void jrc_engine_connecting(struct jrc_engine *engine, uint32_t i,
                           uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (conn->state == JRC_SERVER_GREETING) { /* it was in vain */
        jrc_add(&engine->counters.hellos_failed, 1);
        jrc_greeting_drop(engine, i);
        jrc_pool_next(engine, i);
    }
    conn->deadline_us =
        now_us + (uint64_t)engine->options.connect_timeout_ms * 1000;
    jrc_engine_attend(engine, conn->deadline_us);
}

/* It can carry calls: its hello, if there is one, was answered. */
static void establish(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    jrc_add(&engine->conns[i].connects, 1);
    engine->conns[i].deadline_us = JRC_NEVER;
    jrc_pool_up(engine, i, now_us);
    jrc_greeting_end(engine, i, now_us);
    if (!engine->conns[i].replaces)
        jrc_engine_emit(engine, JSONRPCC_CONNECTED, i, 0, now_us);
    jrc_dispatch_flush_waiting(engine, now_us);
}

void jrc_engine_opened(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    engine->conns[i].orphans = (struct jrc_orphans){0};
    engine->conns[i].rejected_us = 0;
    if (engine->hello == NULL) {
        establish(engine, i, now_us);
        return;
    }
    jrc_pool_greet(engine, i);
    jrc_greeting_begin(engine, i);
}

/* The connection of a sent call is gone: resend the call if that is allowed. */
static void fail_or_resend(struct jrc_engine *engine, struct jrc_call *call,
                           int32_t reason, uint64_t now_us)
{
    if ((call->flags & JSONRPCC_IDEMPOTENT) == 0 || call->sends >= MAX_SENDS ||
        engine->closing) {
        jrc_dispatch_fail(engine, call, JSONRPCC_ECONNLOST, reason, now_us);
        return;
    }
    jrc_call_list_remove(engine->calls, &engine->conns[call->conn].sent, call);
    jrc_add(&engine->counters.resent, 1);
    jrc_dispatch_call(engine, call, call->copy, call->frame_len, now_us);
}

/* Look at the name of a lost server again: it may stand for others by now. */
static void hasten(struct jrc_engine *engine, uint32_t name, uint64_t now_us)
{
    jrc_discovery_hasten(&engine->discovery, name, now_us);
    if (!engine->closing)
        engine->names_us = jrc_discovery_next_us(&engine->discovery, now_us);
}

/* A server that did not answer, and now refuses us, is another trouble. */
static bool is_news(const struct jrc_server *server, int32_t before,
                    int32_t reason)
{
    return !server->unreachable ||
           (reason != before && reason <= JSONRPCC_HELLO_TIMEOUT &&
            reason >= JSONRPCC_HELLO_INVALID);
}

/* Tell of the end of a connection, or of an attempt.  If it had another one
 * left the server is as it was, and an attempt in vain is not worth telling. */
static void tell(struct jrc_engine *engine, uint32_t i, bool was_up,
                 int32_t before, int32_t reason, uint64_t now_us)
{
    struct jrc_server *server = jrc_engine_server(engine, i);

    if (was_up)
        jrc_engine_emit(engine, JSONRPCC_LOST, i, reason, now_us);
    if (server->state >= JRC_SERVER_UP && server->state < JRC_SERVER_GONE)
        return;
    if (!was_up && is_news(server, before, reason))
        jrc_engine_emit(engine, JSONRPCC_UNREACHABLE, i, reason, now_us);
    server->unreachable = !was_up;
}

/* Handle the calls of a lost connection, whose server has changed state. */
void jrc_engine_on_disconnect(struct jrc_engine *engine, uint32_t i,
                              bool was_up, int32_t reason, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    uint32_t name = jrc_engine_server(engine, i)->name;

    jrc_add(was_up ? &conn->losses : &conn->attempts_failed, 1);
    if (name != 0)
        hasten(engine, name, now_us);
    int32_t before = jrc_engine_server(engine, i)->reason;
    atomic_store_explicit(&jrc_engine_server(engine, i)->reason, reason,
                          memory_order_relaxed);
    /* The deadline of an attempt that is over is no reason to wake up. */
    jrc_engine_attend(engine, now_us);
    tell(engine, i, was_up, before, reason, now_us);
    jrc_greeting_forget(engine, i);
    jrc_input_clear(&conn->in);
    engine->shared.start = engine->shared.end = 0;
    while (conn->sent.count > 0)
        fail_or_resend(engine, &engine->calls->slots[conn->sent.first], reason,
                       now_us);
    atomic_store_explicit(&conn->in_flight, 0, memory_order_relaxed);
    /* A frame that has only begun to leave never arrives whole, so it may move
     * too. */
    conn->out.written = conn->out.ahead = 0;
    conn->blocked = false;
    jrc_dispatch_reroute_unsent(engine, i, now_us);
    jrc_dispatch_flush_waiting(engine, now_us);
}

void jrc_engine_lost(struct jrc_engine *engine, uint32_t i, int32_t reason,
                     uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    enum jrc_server_state state = engine->conns[i].state;
    bool greets = state == JRC_SERVER_GREETING;
    bool was_up = !greets && state != JRC_SERVER_CONNECTING;

    if (!was_up && engine->conns[i].greeting.why != 0)
        reason = engine->conns[i].greeting.why; /* it says more */
    jrc_add(&engine->counters.hellos_failed, greets);
    jrc_pool_lost(engine, i, now_us);
    jrc_engine_on_disconnect(engine, i, was_up, reason, now_us);
    if (engine->servers->list[server].state == JRC_SERVER_GONE)
        jrc_engine_emit(engine, JSONRPCC_GONE, i, reason, now_us);
    /* Calls that keep waiting for a server ask again each time. */
    if (engine->outlook == JRC_OUTLOOK_DOWN &&
        !jrc_frames_empty(&engine->waiting))
        jrc_dispatch_ask(engine, now_us);
}

/* ---- bytes ---- */

/* The call that a response on connection i is for, or NULL. */
static struct jrc_call *match(const struct jrc_engine *engine, uint32_t i,
                              uint64_t id)
{
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (call == NULL || call->conn != (int32_t)i ||
        (call->flags & JSONRPCC_NOTIFICATION) != 0)
        return NULL;
    /* A server may respond before the frame's last byte, say to refuse it. */
    return call->state == JRC_CALL_SENT || jrc_dispatch_has_begun(engine, call)
               ? call
               : NULL;
}

/* Any response is a sign of life, whatever it says and whichever call it is
 * for.  Returns whether others that come with it need not be noted. */
static bool answered(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    bool suspect = engine->servers->list[server].state == JRC_SERVER_SUSPECT;

    if (engine->conns[i].state == JRC_SERVER_GREETING)
        return false; /* only all of its hello prove it */
    if (!jrc_pool_answered(engine, i, now_us))
        return true;
    engine->conns[i].deadline_us = JRC_NEVER; /* its trial has ended */
    if (suspect)
        jrc_engine_emit(engine, JSONRPCC_TRUSTED, i, 0, now_us);
    return true;
}

/* No call waits for this response: it is late, and settles its orphan. */
static void settle(struct jrc_orphans *orphans, uint64_t id)
{
    for (uint8_t n = 0; n < orphans->count; n++) {
        if (orphans->ids[n] != id)
            continue;
        orphans->ids[n] = orphans->ids[--orphans->count];
        return;
    }
}

/* Whether a response that is for no call is for a hello or a ping. */
__attribute__((noinline, cold)) static bool is_of_greeting(
    struct jrc_engine *engine, uint32_t i, const struct jrc_response *response,
    uint64_t now_us)
{
    enum jrc_heard heard = jrc_greeting_answer(engine, i, response);

    if (heard == JRC_HEARD_ALL)
        establish(engine, i, now_us);
    return heard != JRC_HEARD_OTHER;
}

/* *noted: what was received before it, at the same time, has shown that the
 * connection is alive. */
static void handle(struct jrc_engine *engine, uint32_t i, const char *payload,
                   size_t len, uint64_t now_us, bool *noted)
{
    static const jsonrpcc_status statuses[] = {
        [JRC_RESPONSE_RESULT] = JSONRPCC_OK,
        [JRC_RESPONSE_ERROR] = JSONRPCC_EREMOTE,
        [JRC_RESPONSE_INVALID] = JSONRPCC_EINVALID,
        [JRC_RESPONSE_REJECTED] = JSONRPCC_EREMOTE,
    };
    struct jrc_call *call = NULL;
    struct jrc_response response;

    jrc_envelope_read(&engine->conns[i].envelope, payload, len,
                      engine->options.max_depth, &response);
    if (response.kind == JRC_RESPONSE_IGNORED) {
        jrc_add(&engine->counters.ignored, 1);
        return;
    }
    if (!*noted && response.kind != JRC_RESPONSE_NOBODYS)
        *noted = answered(engine, i, now_us);
    if (response.id != 0)
        call = match(engine, i, response.id);
    else if (response.kind == JRC_RESPONSE_REJECTED &&
             !jrc_greeting_is_alone(engine, i))
        call = jrc_rejected_match(engine, i, now_us);
    if (call == NULL && is_of_greeting(engine, i, &response, now_us))
        return;
    if (call == NULL) {
        settle(&engine->conns[i].orphans, response.id);
        jrc_add(&engine->counters.unmatched, 1);
        return;
    }
    jrc_add(&engine->conns[i].responses, 1);
    jsonrpcc_outcome outcome = {
        .status = statuses[response.kind],
        .fate = JSONRPCC_ANSWERED,
        .json = response.json,
        .json_len = response.json_len,
        .code = response.code,
    };
    jrc_dispatch_finish(engine, call, &outcome, now_us);
}

void jrc_engine_drop(struct jrc_engine *engine, uint32_t i, int32_t reason,
                     uint64_t now_us)
{
    if (engine->conns[i].state == JRC_SERVER_GREETING) {
        jrc_input_clear(&engine->conns[i].in);
        engine->shared.start = engine->shared.end = 0;
        jrc_greeting_fail(engine, i, reason);
        return;
    }
    jrc_engine_want(engine, i, JRC_SHUT);
    jrc_engine_lost(engine, i, reason, now_us);
}

char *jrc_engine_space(struct jrc_engine *engine, uint32_t i, size_t *room)
{
    return jrc_input_space(&engine->conns[i].in, &engine->shared,
                           engine->options.max_response, room);
}

void jrc_engine_received(struct jrc_engine *engine, uint32_t i, size_t n,
                         uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    const char *payload;
    bool noted = false;
    size_t len;
    int got;

    conn->heard_us = now_us;
    jrc_add(&conn->bytes_received, n);
    jrc_input_received(&conn->in, &engine->shared, n);
    while ((got = jrc_input_next(&conn->in, &engine->shared,
                                 engine->options.max_response, &payload,
                                 &len)) > 0)
        handle(engine, i, payload, len, now_us, &noted);
    if (got == 0 && jrc_input_keep(&conn->in, &engine->shared,
                                   engine->options.max_response) == 0)
        return;
    if (got == 0) {
        jrc_engine_drop(engine, i, ENOMEM, now_us);
        return;
    }
    jrc_add(&engine->counters.bad_frames, 1);
    jrc_engine_drop(engine, i,
                    got == JRC_FRAME_TOO_BIG ? JSONRPCC_FRAME_TOO_BIG
                                             : JSONRPCC_BAD_FRAME,
                    now_us);
}

const char *jrc_engine_output(struct jrc_engine *engine, uint32_t i,
                              size_t *len)
{
    struct jrc_frames *out = &engine->conns[i].out;

    if (out->dead > 0)
        jrc_dispatch_purge(engine, out);
    *len = jrc_frames_size(out) - out->written;
    if (*len == 0) {
        engine->conns[i].blocked = false; /* nothing blocks it any more */
        return NULL;
    }
    return out->bytes + out->start + out->written;
}

/* The frame's last byte has left: from now on a server may have run it. */
static void commit(struct jrc_engine *engine, uint32_t i, uint64_t id,
                   uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (call == NULL && jrc_greeting_commit(engine, i, id))
        return;
    jrc_add(&conn->sends, 1);
    if (conn->deadline_us != JRC_NEVER)
        jrc_trial_sent(engine, i, id, now_us);
    if (call == NULL) {
        conn->orphans.more = true;
        return;
    }
    call->sends++;
    if ((call->flags & JSONRPCC_NOTIFICATION) != 0) {
        jsonrpcc_outcome outcome = {.fate = JSONRPCC_UNKNOWN};
        call->state = JRC_CALL_HELD;
        conn->orphans.more = true;
        jrc_dispatch_finish(engine, call, &outcome, now_us);
        return;
    }
    call->state = JRC_CALL_SENT;
    call->sent_us = now_us;
    jrc_call_list_append(engine->calls, &conn->sent, call);
}

void jrc_engine_sent(struct jrc_engine *engine, uint32_t i, size_t n,
                     uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_frames *out = &conn->out;

    jrc_add(&conn->bytes_sent, n);
    if (n > 0)
        conn->moved_us = now_us;
    out->ahead = out->ahead > n ? out->ahead - n : 0;
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
    jrc_dispatch_recycle_put(engine, out);
    atomic_store_explicit(&conn->in_flight, conn->sent.count,
                          memory_order_relaxed);
}

void jrc_engine_held(struct jrc_engine *engine, uint32_t i, size_t n,
                     uint64_t now_us)
{
    uint64_t sent = jrc_read(&engine->conns[i].bytes_sent);

    jrc_trial_measured(engine, i, n < sent ? sent - n : 0, now_us);
}

void jrc_engine_begun(struct jrc_engine *engine, uint32_t i, size_t n)
{
    engine->conns[i].out.ahead = n;
}
