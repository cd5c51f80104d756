/* Which servers of a long list a client connects to: so many of each group.
 *
 * Each client has an order of its own for the servers of a group, by rendezvous
 * hashing.  The first of them are the subset.  The others are spares: in the
 * list, and not connected.  A server of the subset that has been down or
 * suspect for patience_us is replaced by the next spare, and still tried: when
 * it has been UP again for cap_us, so that one which comes and goes does not
 * have others come and go with it, the replacement becomes a spare again.  If
 * no server of the group is left, nobody waits for patience_us, and twice as
 * many are tried each time, up to all of them.
 *
 * Policy only, as engine/servers.h.  Here a spare that is not connected is put
 * to use, by planning its first attempt.  What is to be done with connections
 * that exist is noted in move, and is done by engine/spares.h. */

#ifndef JRC_SUBSET_H
#define JRC_SUBSET_H

#include "engine/server.h"

/* From the options: most 0 stands for all.  Before jrc_servers_start(). */
void jrc_subset_set_up(struct jrc_servers *servers, uint32_t most,
                       uint64_t seed, uint64_t patience_us);

/* The list has changed: which servers are to be used? */
void jrc_subset_rank(struct jrc_servers *servers, uint64_t now_us);

/* The state of a server has changed, or the time is subset.due_us: the same. */
void jrc_subset_update(struct jrc_servers *servers, uint64_t now_us);

/* Note that a server is in another state now. */
static inline void jrc_subset_note(struct jrc_server *server,
                                   enum jrc_server_state from,
                                   enum jrc_server_state to, uint64_t now_us)
{
    bool served = from == JRC_SERVER_UP || from == JRC_SERVER_PROVING;
    bool serves = to == JRC_SERVER_UP || to == JRC_SERVER_PROVING;

    if (served != serves || (serves && from != to))
        server->turned_us = now_us;
}

#endif
