/* Leading, that is, running the loop: see the diagram in core.h.
 *
 * A thread that waits for an outcome leads at once if there is no leader.  That
 * avoids waking it later, which costs more than the whole call.  When it has
 * its outcome it steps down without waking a successor: most likely it, or a
 * similar thread, is back within microseconds.  The event thread is the
 * watchdog.  Its alarm, a timerfd, goes off jrc_unattended_us() after the last
 * leader stepped down; if there is no leader by then, it leads until a thread
 * with a larger role wants to.
 *
 * So the loop is never unattended for longer than that, however long Python
 * stays in a callback, and the watchdog sleeps both in an idle process and in a
 * busy one.
 *
 * While nothing is in flight, the loop may be unattended for JRC_IDLE_US, or
 * until the engine's next timer: a program that calls every few milliseconds
 * would otherwise pay for handing the loop over and back each time.  A leader
 * that comes after such a time looks at the sockets before it sends, so that no
 * call goes to a connection that has ended meanwhile. */

#include "client/leader.h"

#include "client/iteration.h"
#include "client/leadership.h"
#include "client/member.h"
#include "client/work.h"
#include "io/clock.h"

#include <errno.h>
#include <unistd.h>

enum {
    WATCHDOG_TURNS = 20, /* with no sign of the dispatcher: it is gone */
    FRESH_US = 250       /* what was seen this long ago is still true */
};

/* Under the lock, by the leader: whether the sockets have nothing to bring but
 * the end of a connection. */
static bool is_idle(const struct jrc_core *core)
{
    return core->submission.calls.live == 0 && core->servers.connecting == 0 &&
           core->turn.reading;
}

/* How long there may be no leader. */
static uint64_t leave_us(const struct jrc_core *core)
{
    const struct jrc_leadership *leadership = &core->leadership;

    if (!leadership->idle)
        return jrc_unattended_us(jrc_fork_count());
    uint64_t next_us = jrc_engine_next_us(&core->engine);
    if (next_us >= leadership->left_us + JRC_IDLE_US)
        return JRC_IDLE_US;
    return next_us > leadership->left_us ? next_us - leadership->left_us : 0;
}

/* Whether it was long ago that a thread has watched the sockets. */
static bool is_stale(const struct jrc_leadership *leadership)
{
    return leadership->idle && jrc_now_us() - leadership->left_us > FRESH_US;
}

/* Under the lock: stop leading, and see which thread will. */
static void step_down(struct jrc_core *core)
{
    struct jrc_leadership *leadership = &core->leadership;
    enum jrc_leader role = leadership->leader;
    enum jrc_leader wanted = jrc_leader_wanted(core);
    bool has_work = jrc_has_work(core);

    leadership->idle = is_idle(core);
    jrc_set_leader(leadership, JRC_NO_LEADER);
    leadership->wake_requested = has_work;
    uint64_t delay_us = core->life.closing || has_work ? 0 : leave_us(core);
    leadership->due_us = leadership->left_us + delay_us;
    if (wanted > role || wanted == JRC_CALLER ||
        (has_work && wanted != JRC_NO_LEADER)) {
        jrc_promote(core, wanted);
        return;
    }
    /* The crew need not wait for the watchdog.  Otherwise it gets the loop back
     * from that, since a caller is likely to come back first. */
    if (leadership->member != NULL && !core->life.closing &&
        (has_work || role == JRC_WATCHDOG)) {
        jrc_member_watch(core, true);
        return;
    }
    /* The alarm was set while a call was in flight.  Waking the watchdog for
     * nothing costs more than setting it again. */
    if (leadership->idle && leadership->sparse)
        jrc_alarm_postpone(core);
    leadership->sparse &= !leadership->idle;
    jrc_alarm_set(core, leadership->left_us, delay_us);
}

bool jrc_lead(struct jrc_core *core, enum jrc_leader role,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us)
{
    struct jrc_leadership *leadership = &core->leadership;

    leadership->unwatched = is_stale(leadership);
    leadership->sparse |= leadership->unwatched;
    jrc_member_unwatch(core);
    jrc_set_leader(leadership, role);
    leadership->wake_requested = false;
    if (role == JRC_DISPATCHER)
        jrc_note_dispatcher(core);
    if (!jrc_take_turns(core, may_stay, arg, until_us))
        return false;
    step_down(core);
    return true;
}

/* If this turn sends what was submitted, there can be no response yet, so it
 * does not poll; but not twice in a row. */
static bool poller_may_stay(const struct jrc_core *core, const void *arg)
{
    const bool *sends = arg;

    return !core->life.closing && !*sends;
}

bool jrc_lead_once(struct jrc_core *core)
{
    struct jrc_leadership *leadership = &core->leadership;
    bool wake = false;

    pthread_mutex_lock(&core->lock);
    jrc_note_dispatcher(core); /* even if it cannot lead now */
    bool leads = leadership->leader == JRC_NO_LEADER && !core->life.closing;
    bool sends = !jrc_frames_empty(&core->submission.pending);
    if (leads) {
        sends = sends && !leadership->poll_skipped;
        leadership->poller_wants = false;
        leadership->poll_skipped = sends;
        leads = jrc_lead(core, JRC_DISPATCHER, poller_may_stay, &sends, 0);
    } else if (!core->life.closing) {
        /* The watchdog steps down, and the next call of this finds no
         * leader. */
        leadership->poller_wants |= leadership->leader == JRC_WATCHDOG;
        wake = sends || leadership->poller_wants;
    }
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    return leads;
}

bool jrc_lead_for_crew(struct jrc_core *core, bool polls)
{
    struct jrc_leadership *leadership = &core->leadership;

    polls = polls || is_stale(leadership);
    jrc_member_unwatch(core);
    jrc_set_leader(leadership, JRC_DISPATCHER);
    leadership->wake_requested = false;
    if (!jrc_take_turn(core, polls))
        return false;
    leadership->idle = is_idle(core);
    enum jrc_leader wanted = jrc_leader_wanted(core);
    jrc_set_leader(leadership, JRC_NO_LEADER);
    if (core->life.closing || leadership->member == NULL) {
        leadership->wake_requested = true;
        jrc_alarm_set(core, leadership->left_us, 0);
        return true;
    }
    if (wanted != JRC_NO_LEADER)
        jrc_promote(core, wanted);
    jrc_member_watch(core, false);
    return true;
}

void jrc_lead_closed(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock);
    while (core->life.closed && core->leadership.leader != JRC_NO_LEADER &&
           !jrc_is_leader(core))
        pthread_cond_wait(&core->listener.returned, &core->lock);
    if (core->life.closed && core->leadership.leader == JRC_NO_LEADER) {
        jrc_set_leader(&core->leadership, JRC_CALLER);
        if (jrc_report_rest(core)) {
            jrc_set_leader(&core->leadership, JRC_NO_LEADER);
            pthread_cond_broadcast(&core->listener.returned);
        }
    }
    pthread_mutex_unlock(&core->lock);
}

/* ---- the event thread ---- */

static bool event_thread_may_stay(const struct jrc_core *core, const void *arg)
{
    (void)arg;
    if (core->life.closing)
        return !core->turn.close_begun || !jrc_engine_finished(&core->engine);
    /* Or it has taken something, see look_at_leader(). */
    bool is_back =
        core->leadership.has_dispatcher &&
        atomic_load_explicit(&core->consumer.moved, memory_order_relaxed);
    return jrc_leader_wanted(core) == JRC_NO_LEADER &&
           !core->leadership.poller_wants && !is_back;
}

/* Under the lock.  Returns how long until the leader needs another look. */
static uint64_t look_at_leader(struct jrc_core *core, uint64_t *seen_turns)
{
    if (core->leadership.leader != JRC_NO_LEADER) {
        /* A leader that made no turn since the last look sleeps in its poll;
         * when it steps down, it sets the alarm itself. */
        if (core->leadership.turns == *seen_turns && !core->life.closing)
            return JRC_NEVER;
        *seen_turns = core->leadership.turns;
        return jrc_unattended_us(jrc_fork_count());
    }
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER) {
        jrc_promote(core, wanted);
        return jrc_unattended_us(jrc_fork_count());
    }
    if (core->leadership.member != NULL && !core->life.closing) {
        if (!core->leadership.member->is_watched)
            jrc_member_watch(core, true);
        return JRC_NEVER;
    }
    uint64_t now_us = jrc_now_us();
    uint64_t due_us =
        core->submission.calls.live > 0
            ? core->leadership.left_us + jrc_unattended_us(jrc_fork_count())
            : core->leadership.due_us;
    if (!core->leadership.wake_requested && !core->life.closing &&
        now_us < due_us)
        return due_us - now_us;
    core->leadership.poller_wants = false; /* it did not come */
    /* If the dispatcher is only busy with long callbacks, it will be back, or
     * will come for more of what is already here.  Until then, one turn that
     * does not wait is enough: many threads taking turns make small ones, which
     * are expensive. */
    if (atomic_exchange_explicit(&core->consumer.moved, false,
                                 memory_order_relaxed))
        core->leadership.watchdog_turns = 0;
    bool brief = core->leadership.has_dispatcher && !core->life.closing &&
                 core->leadership.watchdog_turns < WATCHDOG_TURNS;
    core->leadership.watchdog_turns++;
    jrc_lead(core, JRC_WATCHDOG, event_thread_may_stay, NULL,
             brief ? 0 : JRC_NEVER);
    return brief ? jrc_unattended_us(jrc_fork_count()) : JRC_NEVER;
}

bool jrc_watchdog_run(struct jrc_core *core)
{
    uint64_t seen_turns = 0;
    uint64_t count;

    pthread_mutex_lock(&core->lock);
    for (;;) {
        uint64_t delay_us = look_at_leader(core, &seen_turns);
        if (!jrc_core_is_ours(core)) {
            pthread_mutex_unlock(&core->lock);
            return false;
        }
        if (core->leadership.leader == JRC_NO_LEADER &&
            core->turn.close_begun && jrc_engine_finished(&core->engine))
            break;
        if (delay_us != JRC_NEVER)
            jrc_alarm_set(core, jrc_now_us(), delay_us);
        pthread_mutex_unlock(&core->lock);
        while (read(core->leadership.alarm_fd, &count, sizeof count) < 0 &&
               errno == EINTR)
            continue;
        pthread_mutex_lock(&core->lock);
        core->leadership.alarm_us = JRC_NEVER;
    }
    jrc_set_leader(&core->leadership, JRC_WATCHDOG); /* the last leader */
    pthread_mutex_unlock(&core->lock);
    return true;
}
