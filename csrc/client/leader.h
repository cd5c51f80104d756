/* To lead, which is to run the loop. */

#ifndef JRC_LEADER_H
#define JRC_LEADER_H

#include "client/core.h"

/* Under the lock, and nobody leads: lead while may_stay says yes, until
 * until_us at the latest, and step down.  Unlocks meanwhile.  False: a callback
 * forked, this is the child, and the core is its parent's. */
bool jrc_lead(struct jrc_core *core, enum jrc_leader role,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us);

/* Lead for one turn that waits for nothing.  False: somebody else leads, and
 * has been told of what was submitted; or the client is closing. */
bool jrc_lead_once(struct jrc_core *core);

/* The event thread: lead when nobody else does, until the client is closing and
 * all is told; then be its last leader.  False: a callback forked, and this
 * is the child's copy of the thread. */
bool jrc_watchdog_run(struct jrc_core *core);

#endif
