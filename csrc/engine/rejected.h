/* Errors without an id: the server could not read a request, so it cannot say
 * which one.  Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_REJECTED_H
#define JRC_REJECTED_H

#include "engine/state.h"

/* The only call that such an error on connection i can be about.  NULL: it can
 * be about another one, or about one that has ended, and that is reported. */
struct jrc_call *jrc_rejected_match(struct jrc_engine *engine, uint32_t i,
                                    uint64_t now_us);

#endif
