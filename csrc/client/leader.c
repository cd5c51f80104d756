/* Who leads, which is to run the loop: see the diagram in core.h.
 *
 * A thread that waits for an outcome leads at once if nobody does: that saves
 * waking it later, which costs more than the whole call.  When it has what it
 * waited for it steps down, and nobody is woken to replace it: most likely it,
 * or the next one, is back in some microseconds.  The event thread is the
 * watchdog: its alarm, a timerfd, goes off JRC_UNATTENDED_US after the last
 * leader stepped down, and if nobody leads then, it does, until one with a
 * larger role wants to.
 *
 * So the loop is never unattended for longer than that, however long Python
 * stays in a callback; and in an idle or a busy process the watchdog sleeps. */

#include "client/core.h"
#include "io/clock.h"
#include "io/thread.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* jsonrpcc.h promises 1 MiB to callbacks; the rest is for what calls them.
 * Pages that nobody touches cost nothing.  Not more than this: a stack of whole
 * 2 MiB can come as a huge page, and then it costs all of that. */
enum { EVENT_STACK = 1024 * 1024 + 128 * 1024 };

/* The only assignment to the leader.  Under the lock. */
static void set_leader(struct jrc_leadership *leadership, enum jrc_leader to)
{
    static const bool legal[][JRC_CALLER + 1] = {
        [JRC_NO_LEADER] = {[JRC_WATCHDOG] = true,
                           [JRC_DISPATCHER] = true,
                           [JRC_CALLER] = true},
        [JRC_WATCHDOG] = {[JRC_NO_LEADER] = true},
        [JRC_DISPATCHER] = {[JRC_NO_LEADER] = true},
        [JRC_CALLER] = {[JRC_NO_LEADER] = true},
    };

    assert(legal[leadership->leader][to]);
    (void)legal; /* with NDEBUG */
    leadership->leader = to;
    if (to == JRC_NO_LEADER)
        leadership->left_us = jrc_now_us();
    else
        leadership->thread = pthread_self();
}

void jrc_watchdog_set_alarm(struct jrc_core *core, uint64_t now_us,
                            uint64_t delay_us)
{
    if (core->leadership.alarm_us <= now_us + delay_us || core->closed)
        return;
    core->leadership.alarm_us = now_us + delay_us;
    struct itimerspec spec = {
        .it_value = {.tv_nsec = (long)(delay_us * 1000 + 1)},
    };
    timerfd_settime(core->leadership.alarm_fd, 0, &spec, NULL);
}

enum jrc_leader jrc_leader_wanted(const struct jrc_core *core)
{
    enum jrc_leader role = JRC_NO_LEADER;

    if (core->closing)
        return role;
    for (const struct jsonrpcc_waiter *w = core->leadership.followers; w;
         w = w->next)
        if (w->role > role && !w->signalled)
            role = w->role;
    return role;
}

/* Under the lock: have one follower of that role lead. */
static void promote(struct jrc_core *core, enum jrc_leader role)
{
    for (struct jsonrpcc_waiter *w = core->leadership.followers; w; w = w->next)
        if (w->role == role && !w->signalled) {
            pthread_cond_signal(&w->cond);
            return;
        }
}

void jrc_pass_on(struct jrc_core *core)
{
    if (core->leadership.leader != JRC_NO_LEADER || core->closing)
        return;
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER)
        promote(core, wanted);
    else
        jrc_watchdog_set_alarm(
            core, jrc_now_us(),
            core->leadership.wake_requested ? 0 : JRC_UNATTENDED_US);
}

bool jrc_is_leader(const struct jrc_core *core)
{
    return core->leadership.leader != JRC_NO_LEADER &&
           pthread_equal(core->leadership.thread, pthread_self());
}

bool jrc_wake_leader(struct jrc_core *core)
{
    if (core->leadership.leader != JRC_NO_LEADER)
        return true;
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER) {
        promote(core, wanted);
        return false;
    }
    /* The dispatcher runs callbacks, and this may be one of them. */
    bool mine = core->leadership.has_dispatcher &&
                pthread_equal(core->leadership.dispatcher, pthread_self());
    if (mine && core->leadership.alarm_us != JRC_NEVER)
        return false;
    core->leadership.wake_requested = !mine;
    jrc_watchdog_set_alarm(core, jrc_now_us(),
                           core->leadership.has_dispatcher ? JRC_RETURN_US : 0);
    return false;
}

/* Under the lock: this thread comes to see what there is, and will again. */
static void note_dispatcher(struct jrc_core *core)
{
    core->leadership.dispatcher = pthread_self();
    core->leadership.has_dispatcher = true;
    core->leadership.watchdog_turns = 0;
}

/* Under the lock: lead no more, and see who will. */
static void step_down(struct jrc_core *core)
{
    struct jrc_leadership *leadership = &core->leadership;
    enum jrc_leader role = leadership->leader;
    enum jrc_leader wanted = jrc_leader_wanted(core);
    bool has_work = jrc_has_work(core);

    set_leader(leadership, JRC_NO_LEADER);
    leadership->wake_requested = has_work;
    if (wanted > role || wanted == JRC_CALLER ||
        (has_work && wanted != JRC_NO_LEADER))
        promote(core, wanted);
    else
        jrc_watchdog_set_alarm(core, leadership->left_us,
                               core->closing || has_work ? 0
                                                         : JRC_UNATTENDED_US);
}

void jrc_leave_turn(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock); /* fork() left it unlocked */
    longjmp(*core->way_out, 1);
}

/* Take turns.  False: a callback forked, and this is the child.  Outcomes are
 * told deep inside of libevent and the engine, which would go on with the
 * parent's other messages, and with descriptors that are closed here, or are
 * others' by now.  So the way out is a jump over them, and nothing they know is
 * used again. */
static bool take_turns(struct jrc_core *core,
                       bool (*may_stay)(const struct jrc_core *core,
                                        const void *arg),
                       const void *arg, uint64_t until_us)
{
    jmp_buf way_out;

    if (setjmp(way_out) != 0)
        return false;
    core->way_out = &way_out;
    /* When its time comes during a turn it leaves after the next one, which
     * waits for nothing. */
    while (jrc_turn(core, may_stay, arg, until_us) && core->now_us < until_us)
        continue;
    return true;
}

bool jrc_lead(struct jrc_core *core, enum jrc_leader role,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us)
{
    set_leader(&core->leadership, role);
    core->leadership.wake_requested = false;
    if (role == JRC_DISPATCHER)
        note_dispatcher(core);
    if (!take_turns(core, may_stay, arg, until_us))
        return false;
    step_down(core);
    return true;
}

/* What was submitted is sent, and then there can be no answer yet: the poll is
 * left out, but not twice in a row. */
static bool poller_may_stay(const struct jrc_core *core, const void *arg)
{
    const bool *sends = arg;

    return !core->closing && !*sends;
}

bool jrc_lead_once(struct jrc_core *core)
{
    struct jrc_leadership *leadership = &core->leadership;
    bool wake = false;

    pthread_mutex_lock(&core->lock);
    note_dispatcher(core); /* even if it cannot lead now */
    bool leads = leadership->leader == JRC_NO_LEADER && !core->closing;
    bool sends = !jrc_frames_empty(&core->pending);
    if (leads) {
        sends = sends && !leadership->poll_skipped;
        leadership->poller_wants = false;
        leadership->poll_skipped = sends;
        leads = jrc_lead(core, JRC_DISPATCHER, poller_may_stay, &sends, 0);
    } else if (!core->closing) {
        /* The watchdog steps down, and the next look finds nobody there. */
        leadership->poller_wants |= leadership->leader == JRC_WATCHDOG;
        wake = sends || leadership->poller_wants;
    }
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    return leads;
}

/* ---- the event thread ---- */

static bool event_thread_may_stay(const struct jrc_core *core, const void *arg)
{
    (void)arg;
    if (core->closing)
        return !core->close_begun || !jrc_engine_finished(&core->engine);
    /* Or it has been heard of, see look_at_leader(). */
    bool is_back = core->leadership.has_dispatcher &&
                   atomic_load_explicit(&core->consumed, memory_order_relaxed);
    return jrc_leader_wanted(core) == JRC_NO_LEADER &&
           !core->leadership.poller_wants && !is_back;
}

/* Under the lock.  How long until the leader needs another look. */
static uint64_t look_at_leader(struct jrc_core *core, uint64_t *seen_turns)
{
    if (core->leadership.leader != JRC_NO_LEADER) {
        /* A leader that made no turn since the last look sleeps in its poll;
         * it sets the alarm itself when it steps down. */
        if (core->turns == *seen_turns && !core->closing)
            return JRC_NEVER;
        *seen_turns = core->turns;
        return JRC_UNATTENDED_US;
    }
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER) {
        promote(core, wanted);
        return JRC_UNATTENDED_US;
    }
    uint64_t now_us = jrc_now_us();
    uint64_t due_us = core->leadership.left_us + JRC_UNATTENDED_US;
    if (!core->leadership.wake_requested && !core->closing && now_us < due_us)
        return due_us - now_us;
    core->leadership.poller_wants = false; /* it did not come */
    /* A dispatcher that is merely long in its callbacks will be back, or comes
     * for more of what is there already: one turn, without waiting, is enough
     * until then.  Turns of many threads' making are small, and small turns are
     * dear. */
    if (atomic_exchange_explicit(&core->consumed, false, memory_order_relaxed))
        core->leadership.watchdog_turns = 0;
    bool brief = core->leadership.has_dispatcher && !core->closing &&
                 core->leadership.watchdog_turns < JRC_WATCHDOG_TURNS;
    core->leadership.watchdog_turns++;
    jrc_lead(core, JRC_WATCHDOG, event_thread_may_stay, NULL,
             brief ? 0 : JRC_NEVER);
    return brief ? JRC_UNATTENDED_US : JRC_NEVER;
}

/* Under the lock: all is told; tell those who wait for it.  The core may stay
 * for long, with a client that nobody frees: no descriptor does. */
static void finish_close(struct jrc_core *core)
{
    core->closed = true;
    /* Another thread may get the name of this one, which ends. */
    set_leader(&core->leadership, JRC_NO_LEADER);
    close(core->leadership.alarm_fd);
    core->leadership.alarm_fd = -1;
    pthread_cond_broadcast(&core->closed_cond);
    pthread_cond_broadcast(&core->line.moved);
    for (struct jsonrpcc_waiter *w = core->leadership.followers; w; w = w->next)
        pthread_cond_signal(&w->cond);
}

static void *event_thread(void *arg)
{
    struct jrc_core *core = arg;
    uint64_t seen_turns = 0;
    uint64_t count;

    pthread_mutex_lock(&core->lock);
    for (;;) {
        uint64_t delay_us = look_at_leader(core, &seen_turns);
        if (!jrc_core_is_ours(core)) {
            pthread_mutex_unlock(&core->lock);
            return NULL; /* as any thread's function in a child would */
        }
        if (core->leadership.leader == JRC_NO_LEADER && core->close_begun &&
            jrc_engine_finished(&core->engine))
            break;
        if (delay_us != JRC_NEVER)
            jrc_watchdog_set_alarm(core, jrc_now_us(), delay_us);
        pthread_mutex_unlock(&core->lock);
        while (read(core->leadership.alarm_fd, &count, sizeof count) < 0 &&
               errno == EINTR)
            continue;
        pthread_mutex_lock(&core->lock);
        core->leadership.alarm_us = JRC_NEVER;
    }
    set_leader(&core->leadership, JRC_WATCHDOG); /* the last one */
    pthread_mutex_unlock(&core->lock);
    jrc_loop_close(core->loop);
    pthread_mutex_lock(&core->lock);
    finish_close(core);
    pthread_mutex_unlock(&core->lock);
    jrc_core_unref(core);
    return NULL;
}

bool jrc_watchdog_start(struct jrc_core *core)
{
    core->leadership.alarm_us = JRC_NEVER;
    core->leadership.alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (core->leadership.alarm_fd < 0)
        return false;
    jrc_core_ref(core);
    int error = jrc_thread_start(event_thread, core, EVENT_STACK);
    if (error == 0)
        return true;
    atomic_fetch_sub(&core->refs, 1);
    errno = error;
    return false;
}
