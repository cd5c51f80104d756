/* Who drives the loop.
 *
 * One thread at a time sits in the driver's seat.  A thread that waits for an
 * outcome takes an empty seat itself: that saves waking it later, which costs
 * more than the whole call.  When it has what it waited for it leaves, and
 * nobody is woken to replace it: most likely it, or the next one, is back in
 * some microseconds.  The event thread is the guard: its alarm, a timerfd, goes
 * off JRC_UNATTENDED_US after the seat was left, and if it is still empty then,
 * it sits down itself until somebody of a higher rank wants the seat.
 *
 * So the loop is never unattended for longer than that, however long Python
 * stays in a callback; and in an idle or a busy process the guard sleeps. */

#include "client/core.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* What the event thread uses itself is far less. */
enum { EVENT_STACK = 256 * 1024 };

void jrc_seat_set_alarm(struct jrc_core *core, uint64_t now_us,
                        uint64_t delay_us)
{
    if (core->alarm_us <= now_us + delay_us)
        return;
    core->alarm_us = now_us + delay_us;
    struct itimerspec spec = {
        .it_value = {.tv_nsec = (long)(delay_us * 1000 + 1)},
    };
    timerfd_settime(core->alarm_fd, 0, &spec, NULL);
}

enum jrc_rank jrc_seat_wanted(const struct jrc_core *core)
{
    enum jrc_rank rank = JRC_NOBODY;

    if (core->closing)
        return rank;
    for (const struct jsonrpcc_waiter *w = core->followers; w; w = w->next)
        if (w->rank > rank && !w->signalled)
            rank = w->rank;
    return rank;
}

/* Under the lock: let one follower of that rank take the seat. */
static void offer(struct jrc_core *core, enum jrc_rank rank)
{
    for (struct jsonrpcc_waiter *w = core->followers; w; w = w->next)
        if (w->rank == rank && !w->signalled) {
            pthread_cond_signal(&w->cond);
            return;
        }
}

void jrc_seat_decline(struct jrc_core *core)
{
    if (core->rank != JRC_NOBODY || core->closing)
        return;
    enum jrc_rank wanted = jrc_seat_wanted(core);
    if (wanted != JRC_NOBODY)
        offer(core, wanted);
    else
        jrc_seat_set_alarm(core, jrc_now_us(),
                           core->summoned ? 0 : JRC_UNATTENDED_US);
}

bool jrc_seat_is_mine(const struct jrc_core *core)
{
    return core->rank != JRC_NOBODY &&
           pthread_equal(core->driver, pthread_self());
}

bool jrc_seat_rouse(struct jrc_core *core)
{
    if (core->rank != JRC_NOBODY)
        return true;
    enum jrc_rank wanted = jrc_seat_wanted(core);
    if (wanted != JRC_NOBODY) {
        offer(core, wanted);
        return false;
    }
    /* The dispatcher runs callbacks, and this may be one of them. */
    bool mine =
        core->has_dispatcher && pthread_equal(core->dispatcher, pthread_self());
    if (mine && core->alarm_us != JRC_NEVER)
        return false;
    core->summoned = !mine;
    jrc_seat_set_alarm(core, jrc_now_us(),
                       core->has_dispatcher ? JRC_RETURN_US : 0);
    return false;
}

/* Under the lock: this thread comes to see what there is, and will again. */
static void note_dispatcher(struct jrc_core *core)
{
    core->dispatcher = pthread_self();
    core->has_dispatcher = true;
    core->guard_turns = 0;
}

void jrc_seat_drive(struct jrc_core *core, enum jrc_rank rank,
                    bool (*may_stay)(const struct jrc_core *core,
                                     const void *arg),
                    const void *arg, uint64_t until_us)
{
    core->rank = rank;
    core->driver = pthread_self();
    core->summoned = false;
    if (rank == JRC_LAZY)
        note_dispatcher(core);
    /* When its time comes during a turn it leaves after the next one, which
     * waits for nothing. */
    while (jrc_turn(core, may_stay, arg, until_us) && core->now_us < until_us)
        continue;
    core->rank = JRC_NOBODY;
    core->left_us = jrc_now_us();
    enum jrc_rank wanted = jrc_seat_wanted(core);
    core->summoned = jrc_has_work(core);
    if (wanted > rank || wanted == JRC_EAGER ||
        (core->summoned && wanted != JRC_NOBODY))
        offer(core, wanted);
    else
        jrc_seat_set_alarm(core, core->left_us,
                           core->closing || core->summoned ? 0
                                                           : JRC_UNATTENDED_US);
}

/* Under the lock: whether the seat may be had at once. */
static bool is_free(struct jrc_core *core)
{
    if (core->closing)
        return false;
    if (core->rank == JRC_EVENT_THREAD) {
        /* It leaves, and the next look finds the seat empty. */
        core->poller_wants = true;
        jrc_loop_wake(core->loop);
    }
    return core->rank == JRC_NOBODY;
}

/* What was submitted is sent, and then there can be no answer yet: the poll is
 * left out, but not twice in a row. */
static bool poller_may_stay(const struct jrc_core *core, const void *arg)
{
    const bool *sends = arg;

    return !core->closing && !*sends;
}

bool jrc_seat_poll(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock);
    note_dispatcher(core); /* even if it can not drive now */
    bool drives = is_free(core);
    bool sends = !jrc_frames_empty(&core->pending) && !core->poll_skipped;
    if (drives) {
        core->poller_wants = false;
        core->poll_skipped = sends;
        jrc_seat_drive(core, JRC_LAZY, poller_may_stay, &sends, 0);
    }
    pthread_mutex_unlock(&core->lock);
    return drives;
}

/* ---- the event thread ---- */

static bool event_thread_may_stay(const struct jrc_core *core, const void *arg)
{
    (void)arg;
    if (core->closing)
        return !core->close_begun || !jrc_engine_finished(&core->engine);
    /* Or it has been heard of, see look_at_seat(). */
    bool is_back = core->has_dispatcher &&
                   atomic_load_explicit(&core->consumed, memory_order_relaxed);
    return jrc_seat_wanted(core) == JRC_NOBODY && !core->poller_wants &&
           !is_back;
}

/* Under the lock.  How long until the seat needs another look. */
static uint64_t look_at_seat(struct jrc_core *core, uint64_t *seen_turns)
{
    if (core->rank != JRC_NOBODY) {
        /* A driver that made no turn since the last look sleeps in its poll;
         * it sets the alarm itself when it leaves. */
        if (core->turns == *seen_turns && !core->closing)
            return JRC_NEVER;
        *seen_turns = core->turns;
        return JRC_UNATTENDED_US;
    }
    enum jrc_rank wanted = jrc_seat_wanted(core);
    if (wanted != JRC_NOBODY) {
        offer(core, wanted);
        return JRC_UNATTENDED_US;
    }
    uint64_t now_us = jrc_now_us();
    uint64_t due_us = core->left_us + JRC_UNATTENDED_US;
    if (!core->summoned && !core->closing && now_us < due_us)
        return due_us - now_us;
    core->poller_wants = false; /* it did not come */
    /* A dispatcher that is merely long in its callbacks will be back, or comes
     * for more of what is there already: one turn, without waiting, is enough
     * until then.  Turns of many threads' making are small, and small turns are
     * dear. */
    if (atomic_exchange_explicit(&core->consumed, false, memory_order_relaxed))
        core->guard_turns = 0;
    bool brief = core->has_dispatcher && !core->closing &&
                 core->guard_turns < JRC_GUARD_TURNS;
    core->guard_turns++;
    jrc_seat_drive(core, JRC_EVENT_THREAD, event_thread_may_stay, NULL,
                   brief ? 0 : JRC_NEVER);
    return brief ? JRC_UNATTENDED_US : JRC_NEVER;
}

/* Under the lock: all is told; tell those who wait for it. */
static void finish_close(struct jrc_core *core)
{
    core->closed = true;
    pthread_cond_broadcast(&core->closed_cond);
    pthread_cond_broadcast(&core->room);
    for (struct jsonrpcc_waiter *w = core->followers; w; w = w->next)
        pthread_cond_signal(&w->cond);
}

static void *event_thread(void *arg)
{
    struct jrc_core *core = arg;
    uint64_t seen_turns = 0;
    uint64_t count;

    pthread_mutex_lock(&core->lock);
    for (;;) {
        uint64_t delay_us = look_at_seat(core, &seen_turns);
        if (core->rank == JRC_NOBODY && core->close_begun &&
            jrc_engine_finished(&core->engine))
            break;
        if (delay_us != JRC_NEVER)
            jrc_seat_set_alarm(core, jrc_now_us(), delay_us);
        pthread_mutex_unlock(&core->lock);
        while (read(core->alarm_fd, &count, sizeof count) < 0 && errno == EINTR)
            continue;
        pthread_mutex_lock(&core->lock);
        core->alarm_us = JRC_NEVER;
    }
    core->rank = JRC_EVENT_THREAD; /* for good */
    core->driver = pthread_self();
    pthread_mutex_unlock(&core->lock);
    jrc_loop_close(core->loop);
    pthread_mutex_lock(&core->lock);
    finish_close(core);
    pthread_mutex_unlock(&core->lock);
    jrc_core_unref(core);
    return NULL;
}

/* glibc takes the program's thread-local storage from each thread's stack, and
 * has a function that says how much; but it is private, and whoever links it is
 * bound to one version of glibc. */
static size_t stack_size(const pthread_attr_t *attr)
{
    size_t (*least_stack)(const pthread_attr_t *) = NULL;

    *(void **)&least_stack = dlsym(NULL, "__pthread_get_minstack");
    size_t least =
        least_stack != NULL ? least_stack(attr) : (size_t)PTHREAD_STACK_MIN;

    return (EVENT_STACK + least + 65535) / 65536 * 65536; /* in whole pages */
}

bool jrc_seat_start(struct jrc_core *core)
{
    sigset_t all, old;
    pthread_attr_t attr;
    pthread_t thread;

    core->alarm_us = JRC_NEVER;
    core->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (core->alarm_fd < 0 || pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack_size(&attr));
    /* All signals stay with the host's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    jrc_core_ref(core);
    bool started = pthread_create(&thread, &attr, event_thread, core) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (!started)
        atomic_fetch_sub(&core->refs, 1);
    return started;
}
