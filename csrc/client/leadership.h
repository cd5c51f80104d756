/* Who leads, and who wants to: see the diagram in core.h.  Nothing here leads.
 */

#ifndef JRC_LEADERSHIP_H
#define JRC_LEADERSHIP_H

#include "client/core.h"

enum {
    JRC_UNATTENDED_US = 2000 /* there may be no leader for so long */
};

/* All of these under the lock. */

/* The only assignment to the leader: this thread, or nobody. */
void jrc_set_leader(struct jrc_leadership *leadership, enum jrc_leader to);

/* Whether this thread leads: it is inside a callback. */
bool jrc_is_leader(const struct jrc_core *core);

/* The highest role among the followers that still wait for a signal; and have
 * one of that role lead. */
enum jrc_leader jrc_leader_wanted(const struct jrc_core *core);
void jrc_promote(struct jrc_core *core, enum jrc_leader role);

/* See that somebody takes notice of what was submitted.  Returns whether
 * jrc_loop_wake() has to be called, best unlocked. */
bool jrc_wake_leader(struct jrc_core *core);

/* A follower goes away.  It may have been promoted just then, and nobody else
 * would lead. */
void jrc_pass_on(struct jrc_core *core);

/* This thread comes to see what there is, and will again. */
void jrc_note_dispatcher(struct jrc_core *core);

/* All followers look again at what there is. */
void jrc_signal_followers(struct jrc_core *core);

/* The watchdog's alarm.  Opened before there is a lock to take; false: errno
 * says why.  Closed for good, as often as one likes. */
bool jrc_alarm_open(struct jrc_core *core);
void jrc_alarm_close(struct jrc_core *core);

/* Have the watchdog look at the leader delay_us from now. */
void jrc_alarm_set(struct jrc_core *core, uint64_t now_us, uint64_t delay_us);

#endif
