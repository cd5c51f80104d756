#include "client/leadership.h"

#include "io/clock.h"

#include <assert.h>
#include <sys/timerfd.h>
#include <unistd.h>

atomic_uint jrc_own_threads;

enum {
    RETURN_US = 100, /* a dispatcher is likely back within this, */
    HELD_US = 5000   /* and a crew's thread, which may run longer, if it sets
                        few alarms for many clients */
};

void jrc_set_leader(struct jrc_leadership *leadership, enum jrc_leader to)
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
    (void)legal; /* unused with NDEBUG */
    leadership->leader = to;
    if (to == JRC_NO_LEADER)
        leadership->left_us = jrc_now_us();
    else
        leadership->thread = pthread_self();
}

bool jrc_is_leader(const struct jrc_core *core)
{
    return core->leadership.leader != JRC_NO_LEADER &&
           pthread_equal(core->leadership.thread, pthread_self());
}

enum jrc_leader jrc_leader_wanted(const struct jrc_core *core)
{
    enum jrc_leader role = JRC_NO_LEADER;

    if (core->life.closing)
        return role;
    for (const struct jrc_follower *w = core->leadership.followers; w;
         w = w->next)
        if (w->role > role && !w->signalled)
            role = w->role;
    return role;
}

void jrc_promote(struct jrc_core *core, enum jrc_leader role)
{
    for (struct jrc_follower *w = core->leadership.followers; w; w = w->next)
        if (w->role == role && !w->signalled) {
            pthread_cond_signal(&w->cond);
            return;
        }
}

/* There is no leader: find one, or have the watchdog lead. */
__attribute__((noinline)) static void find_leader(struct jrc_core *core)
{
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER) {
        jrc_promote(core, wanted);
        return;
    }
    /* The dispatcher runs callbacks, and this may be one of them.  It sends
     * what they submit when it is back, but that must not wait longer for it
     * than for any leader: while nothing was in flight, the alarm may be far
     * off. */
    struct jrc_leadership *leadership = &core->leadership;
    bool mine = leadership->has_dispatcher &&
                pthread_equal(leadership->dispatcher, pthread_self());
    uint64_t most_us = jrc_unattended_us(core);
    if (mine && leadership->alarm_us <= leadership->left_us + most_us)
        return;
    uint64_t delay_us = leadership->has_dispatcher ? RETURN_US : 0;
    leadership->wake_requested |= !mine;
    jrc_alarm_set(core, jrc_now_us(), mine ? most_us : delay_us);
}

/* Whether this is a callback, after which this thread leads. */
static bool is_held_here(const struct jrc_core *core)
{
    return core->leadership.is_held &&
           pthread_equal(core->leadership.holder, pthread_self());
}

bool jrc_wake_leader(struct jrc_core *core)
{
    if (core->leadership.leader != JRC_NO_LEADER)
        return true;
    if (core->leadership.is_watched) {
        if (!is_held_here(core))
            return true;
        jrc_alarm_set(core, jrc_now_us(), HELD_US);
        return false;
    }
    find_leader(core);
    return false;
}

void jrc_pass_on(struct jrc_core *core)
{
    if (core->leadership.leader != JRC_NO_LEADER || core->life.closing ||
        core->leadership.is_watched)
        return;
    enum jrc_leader wanted = jrc_leader_wanted(core);
    if (wanted != JRC_NO_LEADER)
        jrc_promote(core, wanted);
    else
        jrc_alarm_set(
            core, jrc_now_us(),
            core->leadership.wake_requested ? 0 : jrc_unattended_us(core));
}

void jrc_note_dispatcher(struct jrc_core *core)
{
    core->leadership.dispatcher = pthread_self();
    core->leadership.has_dispatcher = true;
    core->leadership.watchdog_turns = 0;
}

void jrc_forget_dispatcher(struct jrc_core *core)
{
    if (pthread_equal(core->leadership.dispatcher, pthread_self()))
        core->leadership.has_dispatcher = false;
}

void jrc_signal_followers(struct jrc_core *core)
{
    for (struct jrc_follower *w = core->leadership.followers; w; w = w->next)
        pthread_cond_signal(&w->cond);
}

bool jrc_alarm_open(struct jrc_core *core)
{
    int flags = TFD_CLOEXEC | (core->leadership.is_shared ? TFD_NONBLOCK : 0);

    core->leadership.alarm_us = JRC_NEVER;
    core->leadership.alarm_fd = timerfd_create(CLOCK_MONOTONIC, flags);
    return core->leadership.alarm_fd >= 0;
}

void jrc_alarm_close(struct jrc_core *core)
{
    if (core->leadership.alarm_fd >= 0)
        close(core->leadership.alarm_fd);
    core->leadership.alarm_fd = -1;
}

void jrc_alarm_set(struct jrc_core *core, uint64_t now_us, uint64_t delay_us)
{
    if (core->leadership.alarm_us <= now_us + delay_us || core->life.closed)
        return;
    core->leadership.alarm_us = now_us + delay_us;
    struct itimerspec spec = {
        .it_value = {.tv_nsec = (long)(delay_us * 1000 + 1)},
    };
    timerfd_settime(core->leadership.alarm_fd, 0, &spec, NULL);
}

void jrc_alarm_postpone(struct jrc_core *core)
{
    core->leadership.alarm_us = JRC_NEVER;
}
