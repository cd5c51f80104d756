/* The list of servers: as the text that users give, and on its way to the
 * leader. */

#ifndef JRC_CLIENT_SERVER_LIST_H
#define JRC_CLIENT_SERVER_LIST_H

#include "client/core.h"

/* As jrc_servers_parse(), and EINVAL as well for more than max servers. */
int jrc_server_list_read(struct jrc_server_list *list, const char *text,
                         size_t max, char *why, size_t why_size);

/* Free an allocated list; NULL is ignored. */
void jrc_server_list_free(struct jrc_server_list *list);

/* Take the sockets that the list in a new core names, before another descriptor
 * of ours may get such a number.  0, or an errno; EINVAL with why. */
int jrc_server_list_give(struct jrc_core *core, char *why, size_t why_size);

/* 0; EINVAL with why: the list names a socket that the core was not given. */
int jrc_server_list_check(const struct jrc_core *core,
                          const struct jrc_server_list *list, char *why,
                          size_t why_size);

/* Have the leader take in a list, which is allocated and taken over in any
 * case. ECLOSED: the core is closing. */
jsonrpcc_status jrc_core_set_servers(struct jrc_core *core,
                                     struct jrc_server_list *list);

#endif
