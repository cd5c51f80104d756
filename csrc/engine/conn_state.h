/* The states of connections, and what those of a server add up to.  Internal to
 * the engine. */

#ifndef JRC_CONN_STATE_H
#define JRC_CONN_STATE_H

#include "engine/state.h"

/* The only assignment to the state of a connection. */
void jrc_conn_set_state(struct jrc_engine *engine, uint32_t i,
                        enum jrc_server_state state);

/* How much a server has in a connection of that state.  That of a server says
 * what the best one of its connections has to be worth. */
unsigned jrc_conn_worth(enum jrc_server_state state);

/* The best connection of a server, or one of the best. */
uint32_t jrc_conns_best(const struct jrc_engine *engine, uint32_t server);

/* How many connections of a server are in the state. */
uint32_t jrc_conns_in(const struct jrc_engine *engine, uint32_t server,
                      enum jrc_server_state state);

/* How many a server has, or is about to have, without those that leave. */
uint32_t jrc_conns_live(const struct jrc_engine *engine, uint32_t server);

#endif
