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
 * A shared event thread does not wait in a loop.  Where another watchdog would,
 * it takes one turn and then watches the loop from outside, see attended.h.
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

#include "client/attended.h"
#include "client/iteration.h"
#include "client/leadership.h"
#include "io/clock.h"

#include <poll.h>
#include <time.h>

enum {
    MOST_VAIN = 20,      /* times that a foreign loop may try again at once; */
    GIVE_WAY_US = 50,    /* then it pauses for this long */
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

/* How long there may be no leader: at most until the engine's next timer. */
static uint64_t leave_us(const struct jrc_core *core)
{
    const struct jrc_leadership *leadership = &core->leadership;
    uint64_t most_us = leadership->idle ? JRC_IDLE_US : jrc_unattended_us(core);
    uint64_t next_us = jrc_engine_next_us(&core->engine);

    if (next_us >= leadership->left_us + most_us)
        return most_us;
    return next_us > leadership->left_us ? next_us - leadership->left_us : 0;
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
    /* The alarm was set while a call was in flight.  Waking the watchdog for
     * nothing costs more than setting it again. */
    if (leadership->idle && leadership->sparse)
        jrc_alarm_postpone(core);
    leadership->sparse &= !leadership->idle;
    jrc_alarm_set(core, leadership->left_us, delay_us);
}

static void begin_to_lead(struct jrc_core *core, enum jrc_leader role)
{
    struct jrc_leadership *leadership = &core->leadership;

    leadership->unwatched =
        leadership->idle && jrc_now_us() - leadership->left_us > FRESH_US;
    leadership->sparse |= leadership->unwatched;
    leadership->is_watched = false;
    jrc_set_leader(leadership, role);
    leadership->wake_requested = false;
}

bool jrc_lead(struct jrc_core *core, enum jrc_leader role,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us)
{
    begin_to_lead(core, role);
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

/* Under the lock: a foreign event loop cannot lead.  Whether it has tried so
 * often since the leader's last turn that it seems to do nothing else. */
static bool is_stalled(struct jrc_leadership *leadership)
{
    if (leadership->vain_turns != leadership->turns)
        leadership->vain_polls = 0;
    leadership->vain_turns = leadership->turns;
    return leadership->vain_polls++ >= MOST_VAIN;
}

/* If the leader has something to do, it waits for a processor, or is in a
 * callback.  The foreign loop, whose descriptor is readable, would come again
 * and again meanwhile, and might keep the processor from it. */
static void give_way(int loop_fd)
{
    struct pollfd ready = {.fd = loop_fd, .events = POLLIN};
    struct timespec time = {.tv_nsec = GIVE_WAY_US * 1000};

    if (poll(&ready, 1, 0) == 1)
        nanosleep(&time, NULL);
}

bool jrc_lead_once(struct jrc_core *core)
{
    struct jrc_leadership *leadership = &core->leadership;
    bool wake = false;
    int stalled_fd = -1;

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
        bool stalls = is_stalled(leadership);
        if (stalls) /* this thread would not be there in time */
            leadership->poller_wants = false;
        else
            leadership->poller_wants |= leadership->leader == JRC_WATCHDOG;
        wake = sends || leadership->poller_wants;
        stalled_fd = stalls ? jrc_loop_fd(core->loop) : -1;
    }
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    if (stalled_fd >= 0)
        give_way(stalled_fd);
    return leads;
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
        return !jrc_has_ended(core);
    /* Or it has taken something, see look_at_leader(). */
    bool is_back =
        core->leadership.has_dispatcher &&
        atomic_load_explicit(&core->consumer.moved, memory_order_relaxed);
    return jrc_leader_wanted(core) == JRC_NO_LEADER &&
           !core->leadership.poller_wants && !is_back;
}

/* Under the lock, which is released meanwhile, when there is no leader: take a
 * turn, and watch the loop from then on, unless a follower leads.  False: as
 * jrc_lead(). */
static bool attend(struct jrc_core *core, enum jrc_leader role)
{
    struct jrc_leadership *leadership = &core->leadership;

    begin_to_lead(core, role);
    if (!jrc_take_turn(core, role == JRC_WATCHDOG || leadership->unwatched))
        return false;
    leadership->idle = is_idle(core);
    enum jrc_leader wanted = jrc_leader_wanted(core);
    jrc_set_leader(leadership, JRC_NO_LEADER);
    leadership->wake_requested = jrc_has_work(core);
    leadership->due_us = leadership->left_us;
    if (wanted != JRC_NO_LEADER)
        jrc_promote(core, wanted);
    else
        jrc_attended_watch(core);
    return true;
}

bool jrc_lead_after_callbacks(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock);
    core->leadership.is_held = false;
    bool leads = core->leadership.attended != NULL && !core->life.closing &&
                 core->leadership.leader == JRC_NO_LEADER && jrc_has_work(core);
    bool is_parent = !leads || attend(core, JRC_DISPATCHER);
    pthread_mutex_unlock(&core->lock);
    return is_parent;
}

/* Under the lock.  Returns how long until the leader needs another look. */
static uint64_t look_at_leader(struct jrc_core *core)
{
    if (core->leadership.leader != JRC_NO_LEADER) {
        /* A leader that made no turn since the last look sleeps in its poll;
         * when it steps down, it sets the alarm itself. */
        if (core->leadership.turns == core->leadership.seen_turns &&
            !core->life.closing)
            return JRC_NEVER;
        core->leadership.seen_turns = core->leadership.turns;
        return jrc_unattended_us(core);
    }
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER) {
        jrc_promote(core, wanted);
        return jrc_unattended_us(core);
    }
    if (core->leadership.is_watched && !core->life.closing &&
        !jrc_has_work(core))
        return JRC_NEVER;
    uint64_t now_us = jrc_now_us();
    uint64_t due_us = core->leadership.due_us;
    uint64_t most_us = core->leadership.left_us + jrc_unattended_us(core);
    if ((core->submission.calls.live > 0 || jrc_has_work(core)) &&
        most_us < due_us)
        due_us = most_us;
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
    if (core->leadership.attended != NULL && !brief) {
        attend(core, JRC_WATCHDOG);
        return JRC_NEVER;
    }
    jrc_lead(core, JRC_WATCHDOG, event_thread_may_stay, NULL,
             brief ? 0 : JRC_NEVER);
    return brief ? jrc_unattended_us(core) : JRC_NEVER;
}

/* Under the lock, when the watchdog has done what there was to do. */
static enum jrc_watchdog found(struct jrc_core *core)
{
    if (!jrc_core_is_ours(core))
        return JRC_WATCHDOG_FORKED;
    if (core->leadership.leader != JRC_NO_LEADER || !jrc_has_ended(core))
        return JRC_WATCHDOG_GOES_ON;
    jrc_set_leader(&core->leadership, JRC_WATCHDOG); /* the last leader */
    core->leadership.attended = NULL;
    core->leadership.is_watched = false;
    return JRC_WATCHDOG_ENDED;
}

enum jrc_watchdog jrc_watchdog_look(struct jrc_core *core)
{
    pthread_mutex_lock(&core->lock);
    core->leadership.alarm_us = JRC_NEVER;
    uint64_t delay_us = look_at_leader(core);
    enum jrc_watchdog result = found(core);
    if (result == JRC_WATCHDOG_GOES_ON && delay_us != JRC_NEVER)
        jrc_alarm_set(core, jrc_now_us(), delay_us);
    pthread_mutex_unlock(&core->lock);
    return result;
}

enum jrc_watchdog jrc_watchdog_attend(struct jrc_core *core, bool is_polled)
{
    pthread_mutex_lock(&core->lock);
    if (!core->leadership.is_watched)
        jrc_attended_mask(core->leadership.attended);
    else if (!is_polled || core->life.closing)
        attend(core, JRC_WATCHDOG);
    enum jrc_watchdog result = found(core);
    pthread_mutex_unlock(&core->lock);
    return result;
}

bool jrc_lead_watched(struct jrc_core *core, bool *leads)
{
    pthread_mutex_lock(&core->lock);
    *leads = core->leadership.is_watched && !core->life.closing;
    bool is_parent = !*leads || attend(core, JRC_WATCHDOG);
    pthread_mutex_unlock(&core->lock);
    return is_parent;
}
