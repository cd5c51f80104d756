/* Connections that leave: for another one that takes their place, or with their
 * server.  See pool.h.
 *
 * Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_RENEWAL_H
#define JRC_RENEWAL_H

#include "engine/state.h"

/* When a connection that is established now is to be replaced.  Its age varies
 * by a tenth, so that those of many clients do not come at once. */
uint64_t jrc_renewal_due_us(struct jrc_engine *engine, uint64_t now_us);

/* The UP connection of a server that is to be replaced first; JRC_NO_CONN: none
 * is UP. */
uint32_t jrc_renewal_oldest(const struct jrc_engine *engine, uint32_t server);

/* It leaves, until the deadline. */
void jrc_renewal_leave(struct jrc_engine *engine, uint32_t i,
                       uint64_t deadline_us);

/* It leaves for others.  What was sent stays until it is answered, however long
 * that takes: a call has a deadline of its own. */
void jrc_renewal_retire(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* A connection is UP: one that it replaces may leave. */
void jrc_renewal_settle(struct jrc_engine *engine, uint32_t server,
                        uint64_t now_us);

/* Have one that leaves for another one stay.  False: there is none. */
bool jrc_renewal_bring_back(struct jrc_engine *engine, uint32_t server,
                            uint64_t now_us);

#endif
