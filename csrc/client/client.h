/* The handle that callers hold: options, and the core that runs for them. */

#ifndef JRC_CLIENT_H
#define JRC_CLIENT_H

#include "client/core.h"
#include "client/method_names.h"

/* The running core; in a forked child, a new one.  NULL: there is none, and
 * errno says why. */
struct jrc_core *jrc_client_core(jsonrpcc_client *client);

/* The running core; NULL in a forked child that has none yet. */
struct jrc_core *jrc_client_open_core(const jsonrpcc_client *client);

const struct jrc_method_names *jrc_client_methods(
    const jsonrpcc_client *client);

uint32_t jrc_client_max_servers(const jsonrpcc_client *client);

/* Complete; servers is the client's, tls and hello are NULL. */
const jsonrpcc_options *jrc_client_options(const jsonrpcc_client *client);

/* Make this what connections say first; takes over the reference. */
jsonrpcc_status jrc_client_set_hello(jsonrpcc_client *client,
                                     struct jrc_hello *hello);

/* Make this the list of servers: text is what it was read from.  Takes over
 * both in any case; list is an allocated struct. */
jsonrpcc_status jrc_client_set_servers(jsonrpcc_client *client, char *text,
                                       struct jrc_server_list *list);

/* References.  Each waiter holds one: after the client is freed, a queue keeps
 * its waiter until its calls in flight have ended. */
void jrc_client_ref(jsonrpcc_client *client);
void jrc_client_unref(jsonrpcc_client *client);

/* A public function's text for what is wrong may be missing: then it goes to a
 * byte of the function's own. */
static inline void jrc_client_why(char **why, size_t *size, char unused[1])
{
    if (*why != NULL && *size != 0)
        return;
    *why = unused;
    *size = 1;
}

#endif
