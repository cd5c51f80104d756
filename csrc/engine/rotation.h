/* Which server gets the next call: priority groups, round robin, weights, and
 * trials of those in doubt.
 *
 * Policy only, as engine/servers.h. */

#ifndef JRC_ROTATION_H
#define JRC_ROTATION_H

#include "engine/server.h"

/* Index of the server for the next call, which ends at end_us at the latest, or
 * JRC_NO_SERVER or JRC_SERVER_PENDING.  Sets *trial if the call is a trial;
 * with trial NULL, it must not be one. */
int32_t jrc_servers_pick(struct jrc_servers *servers, uint64_t now_us,
                         uint64_t end_us, bool *trial);

/* Pick the server that is next of those in rotation for which is_out(arg, i)
 * does not hold; JRC_NO_SERVER: none. */
int32_t jrc_servers_pick_other(struct jrc_servers *servers,
                               bool (*is_out)(const void *arg, uint32_t i),
                               const void *arg);

/* What pick would return, without changing anything.  An index stands for any
 * server. */
int32_t jrc_servers_peek(const struct jrc_servers *servers, uint64_t now_us);

/* Whether some pick at now_us may be a trial. */
bool jrc_servers_trial_due(const struct jrc_servers *servers, uint64_t now_us);

/* The server that every pick at now_us would return, or one of the values
 * above: JRC_NO_SERVER also if there are several. */
int32_t jrc_servers_sole(const struct jrc_servers *servers, uint64_t now_us);

/* When that may change because time has passed; JRC_NEVER: not by that. */
uint64_t jrc_servers_peek_us(const struct jrc_servers *servers);

/* Whether a call that finds no server should still wait. */
bool jrc_servers_hopeful(const struct jrc_servers *servers);

/* Work out again what the others rely on, after a server has changed its state.
 * This takes a pass over all servers. */
void jrc_rotation_build(struct jrc_servers *servers);

/* Whether calls have a server that is not in doubt. */
bool jrc_rotation_has_up(const struct jrc_servers *servers);

#endif
