/* The table of servers and the list that users give: which slot a server has,
 * who joins and who leaves. */

#ifndef JRC_SERVERS_SET_H
#define JRC_SERVERS_SET_H

#include "engine/servers.h"
#include "engine/servers_parse.h"

/* An empty table with room for max servers; memory that is not used costs
 * nothing.  False: out of memory. */
bool jrc_servers_init(struct jrc_servers *servers, size_t max);

/* Release what the table owns. */
void jrc_servers_clear(struct jrc_servers *servers);

/* Make this the list of servers, and take over its texts.  A server that was in
 * the last one keeps its slot and its state; change says for each slot what
 * has become of it.  dice spreads the first attempts of new servers while
 * others are up.
 *
 * False: not so many slots are free, and nothing has changed.  *retry_us is a
 * time when more will be; JRC_NEVER: the list is longer than the table. */
bool jrc_servers_set(struct jrc_servers *servers, struct jrc_server_list *list,
                     uint64_t now_us, uint32_t dice, uint64_t *retry_us);

#endif
