/* The submission queue: calls from any thread to the leader. */

#include "client/submit.h"

#include "client/iteration.h"
#include "client/leadership.h"
#include "client/line.h"
#include "io/clock.h"
#include "wire/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOME = 32 }; /* calls submitted under one lock */

/* The flags this version knows; others may mean something to a newer one. */
#define CALL_FLAGS                                                             \
    ((uint32_t)(JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT |                  \
                JSONRPCC_WAIT_FOR_READY | JSONRPCC_LENIENT | JSONRPCC_CORKED | \
                JSONRPCC_RESERVE | JSONRPCC_ANY_THREAD))

static void fill(struct jrc_call *slot, const jsonrpcc_call *call,
                 const struct jrc_core *core, uint64_t now_us)
{
    slot->done = call->done;
    slot->arg = call->arg;
    slot->token = call->token;
    slot->accepted_us = now_us;
    /* It is neither 0 nor a time to come. */
    bool is_since = call->since_us - 1 < now_us;
    slot->start_us = is_since ? call->since_us : now_us;
    slot->timeout_ms =
        call->timeout_ms > 0 ? call->timeout_ms : core->options.timeout_ms;
    slot->flags = (uint8_t)(call->flags &
                            (JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT |
                             JSONRPCC_WAIT_FOR_READY | JSONRPCC_ANY_THREAD));
    slot->copy = NULL;
    slot->method = call->method_id;
}

/* Under the lock: put the call's frame into the queue.  All memory that the
 * call may ever need is allocated here. */
static jsonrpcc_status enqueue(struct jrc_core *core, const jsonrpcc_call *call,
                               const struct jrc_message *message,
                               uint64_t now_us, uint64_t *id)
{
    const struct jrc_framing *framing = core->engine.shared.framing;
    bool notification = (call->flags & JSONRPCC_NOTIFICATION) != 0;

    if (core->life.closing)
        return JSONRPCC_ECLOSED;
    struct jrc_call *slot = jrc_calls_new(&core->submission.calls);
    if (slot == NULL) {
        jrc_line_refused(core, 0);
        return JSONRPCC_EFULL;
    }
    uint64_t wire_id = notification ? 0 : slot->id;
    size_t size = jrc_message_frame_size(message, framing, wire_id);
    bool keeps = !notification && (call->flags & JSONRPCC_IDEMPOTENT) != 0;
    size_t cost = keeps ? 2 * size : size; /* a copy is kept, too */
    jsonrpcc_status status = JSONRPCC_OK;
    char *space = NULL;
    if (size > core->options.max_request) {
        status = JSONRPCC_ETOOBIG;
    } else if (!jrc_line_lets_in(core, core->submission.calls.live - 1,
                                 call->flags, cost)) {
        status = JSONRPCC_EFULL;
        jrc_line_refused(core, cost);
    } else {
        fill(slot, call, core, now_us);
        space = jrc_frames_space(&core->submission.pending, size);
        if (space == NULL ||
            (keeps && !jrc_calls_keep(&core->submission.calls, slot, size)))
            status = JSONRPCC_ENOMEM;
    }
    if (status != JSONRPCC_OK) {
        jrc_calls_undo(&core->submission.calls, slot);
        return status;
    }
    jrc_message_write(message, framing, wire_id, size, space);
    slot->frame_len = (uint32_t)size;
    if (keeps) {
        memcpy(slot->copy, space, size);
        core->submission.held_bytes += size;
    }
    jrc_frames_added(&core->submission.pending, slot->id, size);
    if (id != NULL)
        *id = slot->id;
    if (core->submission.line.first != NULL)
        jrc_line_leave(core);
    if (notification)
        core->submission.notifications++;
    else
        core->submission.requests++;
    return JSONRPCC_OK;
}

static jsonrpcc_status prepare(const struct jrc_core *core,
                               struct jrc_message *message,
                               const jsonrpcc_call *call, bool scanned)
{
    enum jrc_reading reading = scanned ? JRC_SCANNED
                               : (call->flags & JSONRPCC_LENIENT) != 0
                                   ? JRC_LENIENT
                                   : JRC_STRICT;
    struct jrc_fault fault;

    if (call->timeout_ms < 0 || (call->flags & ~CALL_FLAGS) != 0 ||
        call->method_id >= core->engine.tally_count)
        return JSONRPCC_EINVAL;
    if (jrc_message_init(message, call->method, call->method_len, call->params,
                         call->params_len, reading, &fault)) {
        if (call->members == NULL ||
            jrc_message_add(message, call->members, call->members_len, &fault))
            return JSONRPCC_OK;
        jrc_message_clear(message);
    }
    return fault.rule == NULL ? JSONRPCC_ENOMEM : JSONRPCC_EINVAL;
}

jsonrpcc_status jrc_core_submit(struct jrc_core *core,
                                const jsonrpcc_call *call, uint64_t *id)
{
    struct jrc_message message;
    bool wake = false;
    jsonrpcc_status status = prepare(core, &message, call, false);

    if (status != JSONRPCC_OK)
        return status;
    uint64_t now_us = jrc_turn_time(core);
    pthread_mutex_lock(&core->lock);
    status = enqueue(core, call, &message, now_us, id);
    if (status == JSONRPCC_OK && (call->flags & JSONRPCC_CORKED) == 0)
        wake = jrc_wake_leader(core);
    else if (status == JSONRPCC_EFULL)
        core->submission.refused_full++;
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    jrc_message_clear(&message);
    return status;
}

/* Submit a few calls: all texts are read before the lock is taken. */
static size_t submit_some(struct jrc_core *core, const char *calls,
                          size_t stride, size_t count, bool scanned,
                          jsonrpcc_status *status)
{
    struct jrc_message messages[SOME];
    size_t prepared = 0, accepted = 0;
    uint32_t corked = JSONRPCC_CORKED;
    bool wake = false;

    for (*status = JSONRPCC_OK; prepared < count; prepared++) {
        *status = prepare(core, &messages[prepared],
                          (const void *)(calls + prepared * stride), scanned);
        if (*status != JSONRPCC_OK)
            break;
    }
    uint64_t now_us = jrc_now_us();
    pthread_mutex_lock(&core->lock);
    while (accepted < prepared) {
        const jsonrpcc_call *call = (const void *)(calls + accepted * stride);
        jsonrpcc_status refused =
            enqueue(core, call, &messages[accepted], now_us, NULL);
        if (refused != JSONRPCC_OK) {
            *status = refused;
            core->submission.refused_full += refused == JSONRPCC_EFULL;
            break;
        }
        corked &= call->flags;
        accepted++;
    }
    if (accepted > 0 && corked == 0)
        wake = jrc_wake_leader(core);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    for (size_t i = 0; i < prepared; i++)
        jrc_message_clear(&messages[i]);
    return accepted;
}

size_t jrc_core_submit_many(struct jrc_core *core, const void *calls,
                            size_t stride, size_t count, bool scanned,
                            jsonrpcc_status *status)
{
    const char *at = calls;
    size_t accepted = 0;

    for (*status = JSONRPCC_OK; accepted < count && *status == JSONRPCC_OK;) {
        size_t some = count - accepted < SOME ? count - accepted : SOME;
        accepted += submit_some(core, at + accepted * stride, stride, some,
                                scanned, status);
    }
    return accepted;
}

void jrc_core_cancel(struct jrc_core *core, uint64_t id)
{
    pthread_mutex_lock(&core->lock);
    jrc_calls_cancel(&core->submission.calls, id);
    bool wake = jrc_wake_leader(core);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}

void jrc_core_flush(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock);
    bool wake =
        !jrc_frames_empty(&core->submission.pending) && jrc_wake_leader(core);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}
