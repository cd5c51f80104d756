/* What the passing of time brings: the ends of calls, attempts, trials, pings
 * and silence.  Times are monotonic microseconds. */

#ifndef JRC_TICK_H
#define JRC_TICK_H

#include "engine/state.h"

/* Do what is due, and say when to do so again (JRC_NEVER: not needed). */
void jrc_engine_tick(struct jrc_engine *engine, uint64_t now_us);
uint64_t jrc_engine_next_us(const struct jrc_engine *engine);

#endif
