#include "rig.h"

#include "table_of.h"
#include "wire/netstring.h"
#include "wire/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_outcome(void *arg, const struct jrc_call *call,
                       const jsonrpcc_outcome *outcome)
{
    struct rig *rig = arg;

    if (rig->outcome_count == RIG_LOG)
        abort();
    size_t n = rig->outcome_count++;
    rig->outcomes[n].token = call->token;
    rig->outcomes[n].outcome = *outcome;
    rig->outcomes[n].events = rig->event_count;
    if (outcome->json == NULL)
        return;
    snprintf(rig->outcomes[n].text, sizeof rig->outcomes[n].text, "%.*s",
             (int)outcome->json_len, outcome->json);
    rig->outcomes[n].outcome.json = rig->outcomes[n].text;
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    struct rig *rig = arg;

    if (rig->event_count < RIG_LOG)
        rig->events[rig->event_count++] = *event;
}

static void start(struct rig *rig, const char *servers, int32_t attempts,
                  int32_t connections, int32_t age_ms, uint32_t subset)
{
    const jsonrpcc_options options = {.max_depth = 8,
                                      .max_response = 1 << 16,
                                      .connect_timeout_ms = 1000,
                                      .leave_timeout_ms = 30000,
                                      .connections = connections,
                                      .max_connection_age_ms = age_ms,
                                      .subset = subset};
    const struct jrc_sink sink = {rig, on_outcome, on_event};

    memset(rig, 0, sizeof *rig);
    rig->now_us = 1000000000;
    if (!table_of(&rig->servers, servers, 1024) ||
        !jrc_calls_init(&rig->calls, 1024) ||
        !jrc_engine_init(&rig->engine, &rig->servers, &rig->calls,
                         &jrc_netstrings, &options, &sink, 1))
        abort();
    jrc_servers_start(&rig->servers, 1000000, 10000000, 1000000, attempts,
                      rig->now_us);
    rig_wait(rig, 0);
}

void rig_start_down(struct rig *rig, const char *servers, int32_t attempts)
{
    start(rig, servers, attempts, 1, 0, 0);
}

void rig_start_wide(struct rig *rig, const char *servers, int32_t connections,
                    int32_t age_ms)
{
    start(rig, servers, -1, connections, age_ms, 0);
}

void rig_start_subset(struct rig *rig, const char *servers, uint32_t subset)
{
    start(rig, servers, -1, 1, 0, subset);
}

void rig_start(struct rig *rig, const char *servers)
{
    rig_start_down(rig, servers, -1);
    for (uint32_t i = 0; i < rig->servers.count; i++)
        jrc_engine_opened(&rig->engine, i, rig->now_us);
    rig_todo(rig, 0);
}

void rig_stop(struct rig *rig)
{
    jrc_engine_clear(&rig->engine);
    jrc_calls_clear(&rig->calls);
    jrc_frames_clear(&rig->pending);
    jrc_servers_clear(&rig->servers);
}

uint64_t rig_prepare(struct rig *rig, uint64_t token, uint32_t flags,
                     int32_t timeout_ms, struct jrc_frames *frames)
{
    struct jrc_message message;
    struct jrc_fault fault;
    struct jrc_call *call;

    jrc_calls_reclaim(&rig->calls);
    call = jrc_calls_new(&rig->calls);
    if (call == NULL ||
        !jrc_message_init(&message, "m", 1, NULL, 0, false, &fault))
        abort();
    uint64_t id = (flags & JSONRPCC_NOTIFICATION) != 0 ? 0 : call->id;
    size_t size = jrc_message_frame_size(&message, &jrc_netstrings, id);
    char *space = jrc_frames_space(frames, size);
    call->token = token;
    call->flags = (uint8_t)flags;
    call->start_us = call->accepted_us = rig->now_us;
    call->timeout_ms = timeout_ms;
    call->frame_len = (uint32_t)size;
    call->copy = NULL;
    if (space == NULL)
        abort();
    jrc_message_write(&message, &jrc_netstrings, id, size, space);
    if ((flags & JSONRPCC_IDEMPOTENT) != 0) {
        if (!jrc_calls_keep(&rig->calls, call, size))
            abort();
        memcpy(call->copy, space, size);
    }
    jrc_frames_added(frames, call->id, size);
    return call->id;
}

uint64_t rig_call(struct rig *rig, uint64_t token, uint32_t flags,
                  int32_t timeout_ms)
{
    uint64_t id = rig_prepare(rig, token, flags, timeout_ms, &rig->pending);

    jrc_engine_submit(&rig->engine, &rig->pending, rig->now_us);
    return id;
}

void rig_wait(struct rig *rig, uint64_t us)
{
    rig->now_us += us;
    jrc_engine_tick(&rig->engine, rig->now_us);
}

uint32_t rig_todo(struct rig *rig, uint32_t i)
{
    struct jrc_action action;
    uint32_t todo = 0;

    while (jrc_engine_next(&rig->engine, &action))
        if (action.conn == i)
            todo |= action.todo;
    return todo;
}

size_t rig_output(struct rig *rig, uint32_t i)
{
    size_t len;

    jrc_engine_output(&rig->engine, i, &len);
    return len;
}

size_t rig_send(struct rig *rig, uint32_t i, size_t most)
{
    size_t len = rig_output(rig, i);

    if (len > most)
        len = most;
    jrc_engine_sent(&rig->engine, i, len, rig->now_us);
    return len;
}

static void feed(struct rig *rig, uint32_t i, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t room;
        char *space = jrc_engine_space(&rig->engine, i, &room);

        if (space == NULL || room == 0)
            abort();
        size_t n = len < room ? len : room;
        memcpy(space, bytes, n);
        jrc_engine_received(&rig->engine, i, n, rig->now_us);
        bytes += n;
        len -= n;
    }
}

void rig_bytes(struct rig *rig, uint32_t i, const char *bytes)
{
    feed(rig, i, bytes, strlen(bytes));
}

void rig_reply(struct rig *rig, uint32_t i, const char *format, ...)
{
    char payload[512], frame[600];
    va_list list;

    va_start(list, format);
    size_t len = (size_t)vsnprintf(payload, sizeof payload, format, list);
    va_end(list);
    int size = snprintf(frame, sizeof frame, "%zu:%s,", len, payload);
    feed(rig, i, frame, (size_t)size);
}

void rig_long_reply(struct rig *rig, uint32_t i, uint64_t id, size_t len)
{
    char *frame = malloc(len + 20);
    int at = snprintf(frame, len,
                      "%zu:{\"jsonrpc\":\"2.0\",\"id\":%llu,"
                      "\"result\":\"",
                      len, (unsigned long long)id);
    size_t end = (size_t)(strchr(frame, ':') + 1 - frame) + len;

    rig->engine.options.max_response = len;
    memset(frame + at, 'x', end - (size_t)at);
    memcpy(frame + end - 2, "\"}", 2);
    feed(rig, i, frame, end);
    free(frame);
}

const jsonrpcc_outcome *rig_outcome(const struct rig *rig, uint64_t token)
{
    const jsonrpcc_outcome *found = NULL;

    for (size_t n = 0; n < rig->outcome_count; n++) {
        if (rig->outcomes[n].token != token)
            continue;
        if (found != NULL)
            return NULL;
        found = &rig->outcomes[n].outcome;
    }
    return found;
}

bool rig_is(const struct rig *rig, uint64_t token, jsonrpcc_status status,
            jsonrpcc_fate fate)
{
    const jsonrpcc_outcome *outcome = rig_outcome(rig, token);

    return outcome != NULL && outcome->status == status &&
           outcome->fate == fate;
}

unsigned rig_events(const struct rig *rig, jsonrpcc_event_kind kind, int32_t i)
{
    unsigned count = 0;

    for (size_t n = 0; n < rig->event_count; n++)
        count += rig->events[n].kind == kind && rig->events[n].server == i;
    return count;
}

/* ---- the books ----------------------------------------------------------- */

/* The frames of a queue: their bytes, and how many belong to live calls in
 * state. */
static bool count_frames(const struct jrc_engine *engine,
                         const struct jrc_frames *frames, int32_t conn,
                         size_t *bytes, uint32_t *live)
{
    size_t size = 0;

    for (size_t i = frames->first; i < frames->last; i++) {
        const struct jrc_call *call =
            jrc_calls_find(engine->calls, frames->list[i].id);
        size += frames->list[i].len;
        if (call == NULL)
            continue;
        ++*live;
        if (call->state != (conn < 0 ? JRC_CALL_WAITING : JRC_CALL_QUEUED) ||
            (conn >= 0 && call->conn != conn))
            return false;
    }
    *bytes += size;
    return size == jrc_frames_size(frames) &&
           (frames->first == frames->last
                ? frames->written == 0
                : frames->written < frames->list[frames->first].len);
}

bool rig_sound(const struct jrc_engine *engine)
{
    const struct jrc_calls *calls = engine->calls;
    uint32_t states[JRC_CALL_SENT + 1] = {0};
    uint32_t waiting = 0, queued = 0, sent = 0, connecting = 0;
    size_t bytes = 0;

    for (uint32_t i = 0; i < calls->used; i++) {
        const struct jrc_call *call = &calls->slots[i];
        if (call->active == 0)
            continue;
        states[call->state]++;
        if (call->active != call->id || i >= calls->high ||
            calls->deadlines[i] < calls->blocks[i / JRC_BLOCK] ||
            calls->blocks[i / JRC_BLOCK] < calls->groups[i / JRC_GROUP] ||
            calls->groups[i / JRC_GROUP] < calls->soonest_us)
            return false;
    }
    if (!count_frames(engine, &engine->waiting, -1, &bytes, &waiting))
        return false;
    for (uint32_t i = 0; i < jrc_engine_conn_count(engine); i++) {
        const struct jrc_conn *conn = &engine->conns[i];
        bool up = jrc_state_is_connected(conn->state);
        uint32_t n = 0;
        if (!count_frames(engine, &conn->out, (int32_t)i, &bytes, &queued))
            return false;
        for (uint32_t at = conn->sent.first; n < conn->sent.count; n++) {
            const struct jrc_call *call = &calls->slots[at];
            if (call->state != JRC_CALL_SENT || call->conn != (int32_t)i)
                return false;
            at = call->next;
        }
        sent += n;
        if (!up && (n > 0 || !jrc_frames_empty(&conn->out)))
            return false;
        if (conn->in_flight != n)
            return false;
    }
    for (uint32_t i = 0; i < engine->servers->count; i++)
        connecting += engine->servers->list[i].state == JRC_SERVER_CONNECTING;
    if (connecting != engine->servers->connecting)
        return false;
    return states[JRC_CALL_HELD] == 0 && states[JRC_CALL_FREE] == 0 &&
           states[JRC_CALL_WAITING] == waiting &&
           states[JRC_CALL_QUEUED] == queued && states[JRC_CALL_SENT] == sent &&
           bytes == engine->held_bytes;
}
