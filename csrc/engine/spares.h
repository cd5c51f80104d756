/* Servers of the list that are not in use: their connections are closed when
 * the last call on them has ended.  Which ones these are says engine/subset.h.
 *
 * Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_SPARES_H
#define JRC_SPARES_H

#include "engine/state.h"

/* Have servers move into the subset, and out of it. */
void jrc_spares_tick(struct jrc_engine *engine, uint64_t now_us);

#endif
