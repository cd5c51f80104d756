/* Leading, that is, running the loop. */

#ifndef JRC_LEADER_H
#define JRC_LEADER_H

#include "client/core.h"

/* Under the lock, which is released meanwhile, and when there is no leader:
 * lead while may_stay returns true, at most until until_us, and step down.
 * False: a callback forked, this is the child, and the core belongs to its
 * parent. */
bool jrc_lead(struct jrc_core *core, enum jrc_leader role,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us);

/* Lead for one turn that does not wait.  False: another thread leads and will
 * take care of what was submitted, or the client is closing. */
bool jrc_lead_once(struct jrc_core *core);

/* By the thread of a crew that has run callbacks of the client: lead for one
 * turn, if they have submitted something.  False: as jrc_lead(). */
bool jrc_lead_after_callbacks(struct jrc_core *core);

/* When a listener was set: if the client is closed, and nobody leads any more,
 * lead to report the past events to it. */
void jrc_lead_closed(struct jrc_core *core);

/* What the watchdog found. */
enum jrc_watchdog {
    JRC_WATCHDOG_GOES_ON,
    JRC_WATCHDOG_ENDED, /* the client is closing and every outcome is delivered;
                           this thread remains the last leader */
    JRC_WATCHDOG_FORKED /* a callback forked, and this is the child's copy of
                           the thread */
};

/* By the event thread, when the alarm has gone off: lead if no other thread
 * does. */
enum jrc_watchdog jrc_watchdog_look(struct jrc_core *core);

/* By the shared event thread, when the loop's descriptor is readable.
 * is_polled: another thread is about to call jrc_lead_watched(), so do what
 * that does not. */
enum jrc_watchdog jrc_watchdog_attend(struct jrc_core *core, bool is_polled);

/* The same by another thread, in its place, unless the client is closing.
 * *leads: there was something to do.  False: as jrc_lead(). */
bool jrc_lead_watched(struct jrc_core *core, bool *leads);

#endif
