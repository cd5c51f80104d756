/* Which connection of a server gets a call, where servers have several.
 *
 * Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_CHOICE_H
#define JRC_CHOICE_H

#include "engine/state.h"

/* The connection that gets the next call to a server: of those that take what
 * they have, the one with the fewest unsent bytes, then with the fewest calls
 * in flight, then the next in turn.  If one of them is due for a trial and the
 * call may be one, it gets the call, and *trial is set. */
uint32_t jrc_choice_pick(struct jrc_engine *engine, uint32_t server,
                         uint64_t end_us, bool may_try, bool *trial,
                         uint64_t now_us);

/* The connection that every call to a server would get; JRC_NO_CONN: there are
 * several. */
uint32_t jrc_choice_sole(const struct jrc_engine *engine, uint32_t server);

/* Whether no connection of a server takes what it already has. */
bool jrc_choice_is_blocked(const struct jrc_engine *engine, uint32_t server);

#endif
