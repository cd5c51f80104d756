#include "engine/connection.h"

#include "engine/dispatch.h"
#include "wire/response.h"

#include <errno.h>

/* How often an idempotent call is sent at most: a request that kills servers
 * must not kill them all. */
#define MAX_SENDS 3

/* ---- up and down ---- */

void jrc_engine_connecting(struct jrc_engine *engine, uint32_t i,
                           uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    conn->deadline_us =
        now_us + (uint64_t)engine->options.connect_timeout_ms * 1000;
    jrc_engine_attend(engine, conn->deadline_us);
}

void jrc_engine_opened(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    jrc_add(&engine->conns[i].connects, 1);
    engine->conns[i].deadline_us = JRC_NEVER;
    engine->conns[i].orphans = (struct jrc_orphans){0};
    engine->conns[i].rejected_us = 0;
    jrc_servers_up(engine->servers, i, now_us);
    jrc_engine_emit(engine, JSONRPCC_CONNECTED, i, 0, now_us);
    jrc_dispatch_flush_waiting(engine, now_us);
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
    jrc_call_list_remove(engine->calls, &engine->conns[call->server].sent,
                         call);
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

/* Handle the calls of a lost connection, whose server has changed state. */
void jrc_engine_on_disconnect(struct jrc_engine *engine, uint32_t i,
                              bool was_up, int32_t reason, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    jrc_add(was_up ? &conn->losses : &conn->attempts_failed, 1);
    if (engine->servers->list[i].name != 0)
        hasten(engine, engine->servers->list[i].name, now_us);
    atomic_store_explicit(&conn->reason, reason, memory_order_relaxed);
    /* The deadline of an attempt that is over is no reason to wake up. */
    jrc_engine_attend(engine, now_us);
    if (was_up)
        jrc_engine_emit(engine, JSONRPCC_LOST, i, reason, now_us);
    else if (!conn->unreachable)
        jrc_engine_emit(engine, JSONRPCC_UNREACHABLE, i, reason, now_us);
    conn->unreachable = !was_up;
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
    bool was_up = engine->servers->list[i].state != JRC_SERVER_CONNECTING;

    jrc_servers_down(engine->servers, i, now_us, jrc_engine_roll(engine));
    jrc_engine_on_disconnect(engine, i, was_up, reason, now_us);
    if (engine->servers->list[i].state == JRC_SERVER_GONE)
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

    if (call == NULL || call->server != (int32_t)i ||
        (call->flags & JSONRPCC_NOTIFICATION) != 0)
        return NULL;
    /* A server may respond before the frame's last byte, say to refuse it. */
    return call->state == JRC_CALL_SENT || jrc_dispatch_has_begun(engine, call)
               ? call
               : NULL;
}

/* Any response is a sign of life, whatever it says and whichever call it is
 * for. */
static void answered(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    bool suspect = engine->servers->list[i].state == JRC_SERVER_SUSPECT;

    if (!jrc_servers_answered(engine->servers, i, now_us))
        return;
    engine->conns[i].deadline_us = JRC_NEVER; /* its trial has ended */
    if (suspect)
        jrc_engine_emit(engine, JSONRPCC_TRUSTED, i, 0, now_us);
}

/* The only call that a response without an id on connection i can be about.
 * NULL: it can be about another one, or about one that has ended. */
static struct jrc_call *only_call(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_conn *conn = &engine->conns[i];
    size_t begun = jrc_frames_begun(&conn->out);

    if (conn->orphans.count > 0 || conn->orphans.more ||
        conn->sent.count + begun != 1)
        return NULL;
    if (begun == 0)
        return &engine->calls->slots[conn->sent.first];
    struct jrc_call *call =
        jrc_calls_find(engine->calls, conn->out.list[conn->out.first].id);
    return call != NULL && (call->flags & JSONRPCC_NOTIFICATION) == 0 ? call
                                                                      : NULL;
}

/* The server could not read a request, so it cannot say which one. */
static struct jrc_call *match_rejected(struct jrc_engine *engine, uint32_t i,
                                       uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_call *call = only_call(engine, i);

    if (call != NULL)
        return call;
    jrc_add(&engine->counters.rejected, 1);
    if (conn->rejected_us == 0 ||
        now_us - conn->rejected_us >= engine->servers->cap_us) {
        conn->rejected_us = now_us;
        jrc_engine_emit(engine, JSONRPCC_REJECTED, i, JSONRPCC_UNREADABLE,
                        now_us);
    }
    return NULL;
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

static void handle(struct jrc_engine *engine, uint32_t i, const char *payload,
                   size_t len, uint64_t now_us)
{
    static const jsonrpcc_status statuses[] = {
        [JRC_RESPONSE_RESULT] = JSONRPCC_OK,
        [JRC_RESPONSE_ERROR] = JSONRPCC_EREMOTE,
        [JRC_RESPONSE_INVALID] = JSONRPCC_EINVALID,
        [JRC_RESPONSE_REJECTED] = JSONRPCC_EREMOTE,
    };
    struct jrc_call *call = NULL;
    struct jrc_response response;

    jrc_response_read(payload, len, engine->options.max_depth, &response);
    if (response.kind == JRC_RESPONSE_IGNORED) {
        jrc_add(&engine->counters.ignored, 1);
        return;
    }
    if (response.kind != JRC_RESPONSE_NOBODYS)
        answered(engine, i, now_us);
    if (response.id != 0)
        call = match(engine, i, response.id);
    else if (response.kind == JRC_RESPONSE_REJECTED)
        call = match_rejected(engine, i, now_us);
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
    size_t len;
    int got;

    jrc_add(&conn->bytes_received, n);
    jrc_input_received(&conn->in, &engine->shared, n);
    while ((got = jrc_input_next(&conn->in, &engine->shared,
                                 engine->options.max_response, &payload,
                                 &len)) > 0)
        handle(engine, i, payload, len, now_us);
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

    jrc_add(&conn->sends, 1);
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

void jrc_engine_begun(struct jrc_engine *engine, uint32_t i, size_t n)
{
    engine->conns[i].out.ahead = n;
}
