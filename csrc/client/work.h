/* What the next turn has to do, and when. */

#ifndef JRC_WORK_H
#define JRC_WORK_H

#include "client/core.h"

/* Under the lock, by the leader or when there is none: whether the next turn
 * has work of which no thread told the leader, because it was not asleep. */
bool jrc_has_work(const struct jrc_core *core);

/* When the next turn has something to do, even if nothing happens.  For a
 * thread that leads, or under the lock when none does. */
uint64_t jrc_next_turn_us(const struct jrc_core *core);

#endif
