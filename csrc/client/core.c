#include "client/core.h"

#include "wire/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct timespec jrc_timespec(uint64_t us)
{
    return (struct timespec){(time_t)(us / 1000000),
                             (long)(us % 1000000) * 1000};
}

void jrc_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- life ---- */

bool jrc_core_is_ours(const struct jrc_core *core)
{
    return core->generation == jrc_fork_generation();
}

void jrc_core_ref(struct jrc_core *core)
{
    atomic_fetch_add_explicit(&core->refs, 1, memory_order_relaxed);
}

static void destroy(struct jrc_core *core)
{
    jrc_loop_free(core->loop);
    if (core->alarm_fd >= 0)
        close(core->alarm_fd);
    if (core->engine.conns != NULL)
        jrc_engine_clear(&core->engine);
    jrc_calls_clear(&core->calls);
    jrc_frames_clear(&core->pending);
    jrc_frames_clear(&core->taken);
    jrc_servers_clear(&core->servers);
    pthread_cond_destroy(&core->room);
    pthread_cond_destroy(&core->closed_cond);
    pthread_cond_destroy(&core->told_cond);
    pthread_mutex_destroy(&core->lock);
    free(core);
}

void jrc_core_unref(struct jrc_core *core)
{
    if (atomic_fetch_sub_explicit(&core->refs, 1, memory_order_acq_rel) != 1)
        return;
    jrc_fork_unwatch(core);
    destroy(core);
}

/* Spreads reconnects over processes; guards nothing. */
static uint64_t seed(const struct jrc_core *core)
{
    return jrc_now_us() * 0x9e3779b97f4a7c15ULL ^ (uint64_t)getpid() << 32 ^
           (uintptr_t)core;
}

static bool set_up(struct jrc_core *core)
{
    const jsonrpcc_options *options = &core->options;
    struct jrc_limits limits = {
        .max_depth = options->max_depth,
        .max_response = options->max_response,
        .connect_timeout_us = (uint64_t)options->connect_timeout_ms * 1000,
    };
    struct jrc_sink sink = {core, jrc_turn_outcome, jrc_turn_event};

    if (!jrc_calls_init(&core->calls, options->max_in_flight + JRC_RESERVE) ||
        !jrc_engine_init(&core->engine, &core->servers, &core->calls, &limits,
                         &sink, seed(core)))
        return false;
    /* A child's ids are not those of the calls that it inherited. */
    jrc_calls_set_epoch(&core->calls, core->generation);
    core->loop = jrc_loop_new(&core->engine, &core->servers);
    if (core->loop == NULL)
        return false;
    jrc_servers_start(&core->servers, (uint64_t)options->reconnect_ms * 1000,
                      (uint64_t)options->reconnect_max_ms * 1000,
                      options->reconnect_attempts == 0
                          ? -1
                          : (options->reconnect_attempts < 0
                                 ? 0
                                 : options->reconnect_attempts),
                      jrc_now_us());
    return true;
}

jsonrpcc_status jrc_core_new(const jsonrpcc_options *options,
                             struct jrc_core **result, char *why,
                             size_t why_size)
{
    struct jrc_core *core = calloc(1, sizeof *core);

    if (core == NULL)
        return JSONRPCC_ENOMEM;
    core->options = *options;
    core->options.servers = NULL;
    core->generation = jrc_fork_generation();
    core->alarm_fd = -1;
    core->deferred_last = &core->deferred;
    atomic_init(&core->refs, 1);
    pthread_mutex_init(&core->lock, NULL);
    jrc_cond_init(&core->room);
    jrc_cond_init(&core->closed_cond);
    jrc_cond_init(&core->told_cond);
    if (!jrc_servers_parse(&core->servers, options->servers, why, why_size)) {
        destroy(core);
        return why_size > 0 && why[0] == '\0' ? JSONRPCC_ENOMEM
                                              : JSONRPCC_EINVAL;
    }
    if (!set_up(core)) {
        destroy(core);
        return JSONRPCC_ENOMEM;
    }
    jrc_fork_watch(core);
    if (!jrc_seat_start(core)) {
        jrc_core_unref(core);
        return JSONRPCC_ENOMEM;
    }
    pthread_mutex_lock(&core->lock);
    jrc_seat_rouse(core);
    pthread_mutex_unlock(&core->lock);
    *result = core;
    return JSONRPCC_OK;
}

/* ---- door ---- */

/* Under the lock: whether a frame of so many bytes is one too many, beside so
 * many live calls. */
static bool is_full(const struct jrc_core *core, uint32_t live, uint32_t flags,
                    size_t size)
{
    size_t queued = core->held_bytes + jrc_frames_size(&core->pending);
    uint32_t most = core->options.max_in_flight +
                    ((flags & JSONRPCC_RESERVE) != 0 ? JRC_RESERVE : 0);

    if (live >= most)
        return true;
    /* A single frame above the bound is let through when it is alone. */
    return queued > 0 && queued + size > core->options.max_queued_bytes;
}

static void fill(struct jrc_call *slot, const jsonrpcc_call *call,
                 const struct jrc_core *core, uint64_t now_us)
{
    slot->done = call->done;
    slot->arg = call->arg;
    slot->token = call->token;
    slot->start_us = now_us;
    slot->timeout_ms =
        call->timeout_ms > 0 ? call->timeout_ms : core->options.timeout_ms;
    slot->flags =
        (uint8_t)(call->flags & (JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT |
                                 JSONRPCC_WAIT_FOR_READY));
    slot->copy = NULL;
}

/* Under the lock: put the call's frame at the door.  All memory that the call
 * may ever need is taken here. */
static jsonrpcc_status enqueue(struct jrc_core *core, const jsonrpcc_call *call,
                               const struct jrc_message *message,
                               uint64_t now_us, uint64_t *id)
{
    bool notification = (call->flags & JSONRPCC_NOTIFICATION) != 0;

    if (core->closing)
        return JSONRPCC_ECLOSED;
    struct jrc_call *slot = jrc_calls_new(&core->calls);
    if (slot == NULL)
        return JSONRPCC_EFULL;
    uint64_t wire_id = notification ? 0 : slot->id;
    size_t size = jrc_message_frame_size(message, wire_id);
    jsonrpcc_status status = JSONRPCC_OK;
    char *space = NULL;
    if (size > core->options.max_request) {
        status = JSONRPCC_ETOOBIG;
    } else if (core->calls.live > 1 &&
               is_full(core, core->calls.live - 1, call->flags, size)) {
        status = JSONRPCC_EFULL;
        core->refused_size = size;
    } else {
        fill(slot, call, core, now_us);
        space = jrc_frames_space(&core->pending, size);
        if (space != NULL && (slot->flags & JSONRPCC_IDEMPOTENT) != 0)
            slot->copy = malloc(size);
        if (space == NULL ||
            ((slot->flags & JSONRPCC_IDEMPOTENT) != 0 && slot->copy == NULL))
            status = JSONRPCC_ENOMEM;
    }
    if (status != JSONRPCC_OK) {
        jrc_calls_undo(&core->calls, slot);
        return status;
    }
    jrc_message_write(message, wire_id, size, space);
    slot->frame_len = (uint32_t)size;
    if (slot->copy != NULL)
        memcpy(slot->copy, space, size);
    jrc_frames_added(&core->pending, slot->id, size);
    *id = slot->id;
    if (notification)
        core->notifications++;
    else
        core->requests++;
    return JSONRPCC_OK;
}

static jsonrpcc_status prepare(struct jrc_message *message,
                               const jsonrpcc_call *call, bool scanned)
{
    enum jrc_reading reading = scanned ? JRC_SCANNED
                               : (call->flags & JSONRPCC_LENIENT) != 0
                                   ? JRC_LENIENT
                                   : JRC_STRICT;
    struct jrc_fault fault;

    if (jrc_message_init(message, call->method, call->method_len, call->params,
                         call->params_len, reading, &fault))
        return JSONRPCC_OK;
    return fault.rule == NULL ? JSONRPCC_ENOMEM : JSONRPCC_EINVAL;
}

jsonrpcc_status jrc_core_submit(struct jrc_core *core,
                                const jsonrpcc_call *call, uint64_t *id)
{
    struct jrc_message message;
    bool wake = false;
    jsonrpcc_status status = prepare(&message, call, false);

    if (status != JSONRPCC_OK)
        return status;
    uint64_t now_us = jrc_now_us();
    pthread_mutex_lock(&core->lock);
    status = enqueue(core, call, &message, now_us, id);
    if (status == JSONRPCC_OK && (call->flags & JSONRPCC_CORKED) == 0)
        wake = jrc_seat_rouse(core);
    else if (status == JSONRPCC_EFULL)
        core->refused_full++;
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    jrc_message_clear(&message);
    return status;
}

/* Submit a few: all texts are read before the lock is taken. */
static size_t submit_some(struct jrc_core *core, const char *calls,
                          size_t stride, size_t count, bool scanned,
                          jsonrpcc_status *status)
{
    struct jrc_message messages[JRC_SOME];
    size_t prepared = 0, accepted = 0;
    uint32_t corked = JSONRPCC_CORKED;
    bool wake = false;
    uint64_t id;

    for (*status = JSONRPCC_OK; prepared < count; prepared++) {
        *status = prepare(&messages[prepared],
                          (const void *)(calls + prepared * stride), scanned);
        if (*status != JSONRPCC_OK)
            break;
    }
    uint64_t now_us = jrc_now_us();
    pthread_mutex_lock(&core->lock);
    while (accepted < prepared) {
        const jsonrpcc_call *call = (const void *)(calls + accepted * stride);
        jsonrpcc_status refused =
            enqueue(core, call, &messages[accepted], now_us, &id);
        if (refused != JSONRPCC_OK) {
            *status = refused;
            core->refused_full += refused == JSONRPCC_EFULL;
            break;
        }
        corked &= call->flags;
        accepted++;
    }
    if (accepted > 0 && corked == 0)
        wake = jrc_seat_rouse(core);
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
        size_t some = count - accepted < JRC_SOME ? count - accepted : JRC_SOME;
        accepted += submit_some(core, at + accepted * stride, stride, some,
                                scanned, status);
    }
    return accepted;
}

void jrc_core_cancel(struct jrc_core *core, uint64_t id)
{
    pthread_mutex_lock(&core->lock);
    jrc_calls_cancel(&core->calls, id);
    bool wake = jrc_seat_rouse(core);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}

void jrc_core_flush(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock);
    bool wake = !jrc_frames_empty(&core->pending) && jrc_seat_rouse(core);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}

bool jrc_core_room(struct jrc_core *core, int32_t timeout_ms)
{
    struct timespec until =
        jrc_timespec(jrc_now_us() + (uint64_t)timeout_ms * 1000);
    int error = 0;

    pthread_mutex_lock(&core->lock);
    core->room_waiters++;
    while (is_full(core, core->calls.live, 0, core->refused_size) &&
           !core->closing && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&core->room, &core->lock, &until);
    core->room_waiters--;
    bool room = !is_full(core, core->calls.live, 0, core->refused_size) ||
                core->closing;
    pthread_mutex_unlock(&core->lock);
    return room;
}

void jrc_core_listen(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg)
{
    pthread_mutex_lock(&core->lock);
    core->event_fn = fn;
    core->event_arg = arg;
    core->event_replay = true;
    bool wake = !core->closing && jrc_seat_rouse(core);
    /* The one before must not run once this returns: its arg may go. */
    while (core->telling && !jrc_seat_is_mine(core))
        pthread_cond_wait(&core->told_cond, &core->lock);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}

void jrc_core_undelivered(struct jrc_core *core, int64_t bytes)
{
    int64_t most = (int64_t)core->options.max_undelivered_bytes;
    int64_t before = atomic_fetch_add_explicit(&core->undelivered_bytes, bytes,
                                               memory_order_relaxed);

    if (bytes < 0)
        atomic_store_explicit(&core->consumed, true, memory_order_relaxed);
    /* Only the way down needs a wake: the way up happens in a turn. */
    if (before <= most || before + bytes > most)
        return;
    /* Either we see the driver asleep, or it sees our bytes before it sleeps.
     */
    atomic_thread_fence(memory_order_seq_cst);
    jrc_loop_wake(core->loop);
}
