#include "client/core.h"

#include "io/clock.h"

#include <time.h>

/* After each callback: it may have forked, and this be the child. */
static void stay_in_parent(struct jrc_core *core)
{
    if (!jrc_core_is_ours(core))
        jrc_leave_turn(core);
}

void jrc_turn_outcome(void *arg, const struct jrc_call *call,
                      const jsonrpcc_outcome *outcome)
{
    if (call->done == NULL)
        return;
    call->done(call->arg, call->token, outcome);
    stay_in_parent(arg);
}

void jrc_turn_event(void *arg, const jsonrpcc_event *event)
{
    struct jrc_core *core = arg;

    core->listener.events[core->listener.event_count++ % JRC_EVENTS] = *event;
}

/* Tell the listener what it has not heard, as far as it is still known.  Rare:
 * so the lock is taken only when there is something to emit. */
static void emit_events(struct jrc_core *core, bool replay)
{
    if (core->listener.emitted == core->listener.event_count && !replay)
        return;
    pthread_mutex_lock(&core->lock);
    if (core->listener.wants_replay)
        core->listener.emitted = 0;
    core->listener.wants_replay = false;
    jsonrpcc_event_fn fn = core->listener.fn;
    void *arg = core->listener.arg;
    core->listener.runs = fn != NULL;
    pthread_mutex_unlock(&core->lock);
    if (fn == NULL)
        return;
    if (core->listener.event_count - core->listener.emitted > JRC_EVENTS) {
        uint64_t oldest = core->listener.event_count - JRC_EVENTS;
        jrc_add(&core->listener.dropped, oldest - core->listener.emitted);
        core->listener.emitted = oldest;
    }
    while (core->listener.emitted < core->listener.event_count) {
        fn(arg, &core->listener.events[core->listener.emitted++ % JRC_EVENTS]);
        stay_in_parent(core);
    }
    pthread_mutex_lock(&core->lock);
    core->listener.runs = false;
    pthread_cond_broadcast(&core->listener.returned);
    pthread_mutex_unlock(&core->lock);
}

/* What these defer in their turn is the next turn's. */
static void run_deferred(struct jrc_core *core)
{
    jsonrpcc_deferred *deferred = core->deferred;

    core->deferred = NULL;
    core->deferred_last = &core->deferred;
    while (deferred != NULL) {
        jsonrpcc_deferred *next = deferred->next;
        deferred->fn(deferred->arg);
        stay_in_parent(core);
        deferred = next;
    }
}

/* What one turn took from the submission queue. */
struct intake {
    uint64_t cancels[32];
    size_t cancel_count;
    bool replay;
    bool closing;
};

/* Under the lock: take what other threads left. */
static void take_in(struct jrc_core *core, struct intake *intake)
{
    struct jrc_frames empty = core->taken;

    core->turns++;
    core->taken = core->pending;
    core->pending = empty;
    /* On their way to the engine they are held as well: give_back() knows. */
    core->held_bytes += jrc_frames_size(&core->taken);
    intake->cancel_count = 0;
    while (intake->cancel_count < 32) {
        uint64_t id = jrc_calls_cancelled(&core->calls);
        if (id == 0)
            break;
        intake->cancels[intake->cancel_count++] = id;
    }
    intake->closing = core->closing;
    intake->replay = core->listener.wants_replay;
}

/* Under the lock: give back what ended. */
static void give_back(struct jrc_core *core)
{
    jrc_calls_reclaim(&core->calls);
    core->held_bytes = core->engine.held_bytes + core->calls.kept_bytes;
    if (core->line.first != NULL)
        jrc_line_move(core);
}

bool jrc_has_work(const struct jrc_core *core)
{
    return !jrc_frames_empty(&core->pending) ||
           core->calls.cancels != JRC_NO_CALL || core->listener.wants_replay ||
           core->deferred != NULL || (core->closing && !core->close_begun);
}

/* Whether the consumer keeps up. */
static bool may_read(const struct jrc_core *core)
{
    return atomic_load_explicit(&core->undelivered_bytes,
                                memory_order_relaxed) <=
           (int64_t)core->options.max_undelivered_bytes;
}

/* Whether the consumer has caught up since work() looked.  It did not wake us
 * if that was before we were asleep. */
static bool has_caught_up(const struct jrc_core *core)
{
    if (core->reading)
        return false;
    atomic_thread_fence(memory_order_seq_cst); /* see jrc_core_undelivered() */
    return may_read(core);
}

/* Let the engine have it, and do what it wants. */
static void work(struct jrc_core *core, const struct intake *intake)
{
    uint64_t now_us = core->now_us = jrc_now_us();

    if (!jrc_frames_empty(&core->taken))
        jrc_engine_submit(&core->engine, &core->taken, now_us);
    for (size_t i = 0; i < intake->cancel_count; i++)
        jrc_engine_cancel(&core->engine, intake->cancels[i], now_us);
    if (intake->closing && !core->close_begun) {
        core->close_begun = true;
        jrc_engine_close(&core->engine, now_us, JRC_LINGER_US);
    }
    jrc_engine_tick(&core->engine, now_us);
    core->reading = may_read(core);
    jrc_engine_set_reading(&core->engine, core->reading, now_us);
    jrc_loop_set_reading(core->loop, core->reading); /* may lose connections */
    jrc_loop_act(core->loop, now_us);
}

static void emit(struct jrc_core *core, bool replay)
{
    emit_events(core, replay);
    run_deferred(core);
}

/* Somebody submits call after call, and no one waits for a single one. */
static bool is_coalescing(const struct jrc_core *core)
{
    return core->leadership.short_sleeps >= JRC_SHORT_SLEEPS &&
           core->leadership.leader != JRC_CALLER &&
           jrc_leader_wanted(core) != JRC_CALLER;
}

/* Waking a sleeper costs the submitter more than its call.  While somebody
 * submits call after call, sleep for a fixed time instead, in which nobody
 * needs to wake us, and see what has gathered. */
static void coalesce_pause(struct jrc_core *core)
{
    struct timespec time = {.tv_nsec = JRC_PAUSE_US * 1000};

    nanosleep(&time, NULL);
    pthread_mutex_lock(&core->lock);
    if (!jrc_has_work(core))
        core->leadership.short_sleeps = 0;
    pthread_mutex_unlock(&core->lock);
    jrc_loop_poll(core->loop, 0);
}

/* Sleep until something happens, and see how soon somebody wakes it; for a
 * caller that does not matter, see is_coalescing(). */
static void sleep_until(struct jrc_core *core, uint64_t until_us)
{
    bool counts = core->leadership.leader != JRC_CALLER;
    uint64_t next_us =
        has_caught_up(core) ? 0 : jrc_engine_next_us(&core->engine);
    uint64_t slept_us = counts ? jrc_now_us() : 0;
    bool woken =
        jrc_loop_poll(core->loop, next_us < until_us ? next_us : until_us);

    if (counts && woken && jrc_now_us() - slept_us < JRC_SHORT_SLEEP_US)
        core->leadership.short_sleeps++;
    else
        core->leadership.short_sleeps = 0;
}

/* Under the lock, which it gives up meanwhile: take what was submitted until
 * now, and no more. */
static void drain(struct jrc_core *core)
{
    struct intake intake;

    take_in(core, &intake);
    pthread_mutex_unlock(&core->lock);
    work(core, &intake);
    emit(core, intake.replay);
    pthread_mutex_lock(&core->lock);
    give_back(core);
}

/* Under the lock, which it gives up meanwhile: poll, and wait if there is
 * nothing else to do. */
static void await_events(struct jrc_core *core, uint64_t until_us)
{
    bool busy = jrc_has_work(core);

    core->leadership.short_sleeps += busy;
    bool pauses = is_coalescing(core) && core->now_us < until_us;
    if (!busy && !pauses)
        jrc_loop_set_asleep(core->loop);
    pthread_mutex_unlock(&core->lock);
    if (pauses)
        coalesce_pause(core);
    else if (busy)
        jrc_loop_poll(core->loop, 0);
    else
        sleep_until(core, until_us);
    /* First free, then emit: who knows an outcome finds its slot free. */
    pthread_mutex_lock(&core->lock);
    give_back(core);
    pthread_mutex_unlock(&core->lock);
    emit(core, false);
    pthread_mutex_lock(&core->lock);
}

bool jrc_turn(struct jrc_core *core,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us)
{
    give_back(core);
    if (!may_stay(core, arg) && !jrc_has_work(core))
        return false;
    drain(core);
    if (!may_stay(core, arg))
        return false;
    await_events(core, until_us);
    return true;
}
