/* Which thread leads, and which ones want to: see the diagram in core.h.
 * Leading itself is in leader.c. */

#ifndef JRC_LEADERSHIP_H
#define JRC_LEADERSHIP_H

#include "client/core.h"

enum { JRC_IDLE_US = 200000 /* no leader, and nothing in flight, this long */ };

/* Event threads of this process that only one client has. */
extern atomic_uint jrc_own_threads;

/* How long there may be no leader while something is in flight.  If many
 * clients have a thread each, these wait for each other, be it for a processor
 * or for Python's interpreter lock, and watchdogs that look after all of them
 * every 2 ms would take most of it.  The shared one does not wait for itself,
 * however many clients it has. */
static inline uint64_t jrc_unattended_us(const struct jrc_core *core)
{
    enum { LEAST_US = 2000, EACH_US = 250, MOST_US = 50000 };
    unsigned threads =
        core->leadership.is_shared
            ? 1
            : atomic_load_explicit(&jrc_own_threads, memory_order_relaxed);

    if (threads <= LEAST_US / EACH_US)
        return LEAST_US;
    return threads < MOST_US / EACH_US ? (uint64_t)threads * EACH_US : MOST_US;
}

/* Call all of these under the lock. */

/* The only assignment to the leader: this thread, or none. */
void jrc_set_leader(struct jrc_leadership *leadership, enum jrc_leader to);

/* Whether this thread leads, which means it is inside a callback. */
bool jrc_is_leader(const struct jrc_core *core);

/* The highest role among the followers that still wait for a signal; and make a
 * follower of that role the leader. */
enum jrc_leader jrc_leader_wanted(const struct jrc_core *core);
void jrc_promote(struct jrc_core *core, enum jrc_leader role);

/* Make sure that a thread handles what was submitted.  Returns whether to call
 * jrc_loop_wake(), preferably unlocked. */
bool jrc_wake_leader(struct jrc_core *core);

/* A follower leaves.  If it was just promoted, another one has to lead. */
void jrc_pass_on(struct jrc_core *core);

/* This thread fetches outcomes, and will come again. */
void jrc_note_dispatcher(struct jrc_core *core);

/* If it was this thread, it will not. */
void jrc_forget_dispatcher(struct jrc_core *core);

/* Have all followers check again what has arrived. */
void jrc_signal_followers(struct jrc_core *core);

/* The watchdog's alarm.  Open it before the lock exists (false: errno says
 * why); reading it waits for it, unless the event thread is shared.  Closing is
 * final; closing it again does nothing. */
bool jrc_alarm_open(struct jrc_core *core);
void jrc_alarm_close(struct jrc_core *core);

/* Have the watchdog check on the leader delay_us from now. */
void jrc_alarm_set(struct jrc_core *core, uint64_t now_us, uint64_t delay_us);

/* Have the next jrc_alarm_set() set it, even if it goes off sooner. */
void jrc_alarm_postpone(struct jrc_core *core);

#endif
