/* The connections of a server: how many there are, and when one takes the place
 * of another.
 *
 * A server is in the best state of its connections.  Suspicion belongs to the
 * server, and so do the attempts while none of its connections is established:
 * one at a time.  Once it is UP, its other connections are opened, each with a
 * backoff of its own.
 *
 * A connection is DOWN, CONNECTING, GREETING, PROVING, UP or LEAVING; it is
 * never SUSPECT or GONE.  GREETING, it waits for the response to its hello,
 * which is part of the attempt; with that response it is UP.  It is PROVING,
 * and on trial, if it has had no response since it last failed, if it is to
 * replace another one, or while its server is.  LEAVING, it gets no new call,
 * and is closed when the last one on it has ended: since the list no longer has
 * the server, since another connection has taken its place, or since it alone
 * does not respond.
 *
 * Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_POOL_H
#define JRC_POOL_H

#include "engine/proof.h"

/* From the options: how many connections a server is to have, and how many it
 * has room for: to replace one needs another. */
void jrc_pool_set_up(struct jrc_engine *engine);

/* When a connection that is DOWN is to be opened; JRC_NEVER: not yet. */
uint64_t jrc_pool_due_us(const struct jrc_engine *engine, uint32_t i);

/* Whether its server has no other one that carries calls, or could again. */
bool jrc_pool_is_only(const struct jrc_engine *engine, uint32_t i);

/* What happened to a connection: an attempt begins; it says its hello; that was
 * in vain, and the next address is tried; it is established, and its hello, if
 * any, answered; it is gone, or its attempt has failed. */
void jrc_pool_attempt(struct jrc_engine *engine, uint32_t i, uint64_t now_us);
void jrc_pool_greet(struct jrc_engine *engine, uint32_t i);
void jrc_pool_next(struct jrc_engine *engine, uint32_t i);
void jrc_pool_up(struct jrc_engine *engine, uint32_t i, uint64_t now_us);
void jrc_pool_lost(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* Replace all connections of a suspect at once, as jrc_servers_renew(). */
bool jrc_pool_renew(struct jrc_engine *engine, uint32_t server,
                    uint64_t now_us);

/* Its server leaves the list, or becomes a spare, or is in use again: after
 * that is so.  Calls that were sent to a spare have all of their time. */
void jrc_pool_leave(struct jrc_engine *engine, uint32_t server,
                    uint64_t now_us);
void jrc_pool_release(struct jrc_engine *engine, uint32_t server);
void jrc_pool_join(struct jrc_engine *engine, uint32_t server, uint64_t now_us);

/* The last call on a connection that was LEAVING has ended. */
void jrc_pool_close(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

#endif
