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

/* Under the lock, which is released meanwhile, of a client in a crew that is
 * open and that nobody leads: lead for one turn that does not wait, as
 * jrc_take_turn(), and have the crew watch the loop.  False: as jrc_lead(). */
bool jrc_lead_for_crew(struct jrc_core *core, bool polls);

/* When a listener was set: if the client is closed, and nobody leads any more,
 * lead to report the past events to it. */
void jrc_lead_closed(struct jrc_core *core);

/* The event thread: lead whenever no other thread does, until the client is
 * closing and every outcome is delivered; then remain the last leader.  False:
 * a callback forked, and this is the child's copy of the thread. */
bool jrc_watchdog_run(struct jrc_core *core);

#endif
