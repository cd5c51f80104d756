/* Changes of the list of servers: who joins is tried, and who leaves is let go
 * when the calls on its connection have ended.  A change ends no call.
 * Times are monotonic microseconds. */

#ifndef JRC_CHANGES_H
#define JRC_CHANGES_H

#include "engine/state.h"

/* Make this the list of servers, without names, and take it over.  Those that
 * stay keep their connections, those that leave the calls that were sent to
 * them.  If no slot is free for a new server, the old list stays until one is.
 * Not once the engine is closing. */
void jrc_changes_use(struct jrc_engine *engine, struct jrc_server_list *list,
                     uint64_t now_us);

/* Whether a list waits until a slot is free. */
static inline bool jrc_changes_await_room(const struct jrc_engine *engine)
{
    return engine->wanted_us != JRC_NEVER;
}

/* The rest is internal to the engine.
 *
 * Whether something is left to do by jrc_changes_tick(). */
static inline bool jrc_changes_pending(const struct jrc_engine *engine)
{
    return engine->leaving != JRC_NO_CONN || jrc_changes_await_room(engine);
}

/* When the connection of a server that leaves now is closed at the latest. */
static inline uint64_t jrc_changes_end_us(const struct jrc_engine *engine,
                                          uint64_t now_us)
{
    return now_us + (uint64_t)engine->options.leave_timeout_ms * 1000;
}

/* Close the connections of servers that have left once they are idle, or their
 * time is over; and try again to take in a list that found no room. */
void jrc_changes_tick(struct jrc_engine *engine, uint64_t now_us);

#endif
