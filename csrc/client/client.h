/* The handle that callers hold: options, and the core that runs for them. */

#ifndef JRC_CLIENT_H
#define JRC_CLIENT_H

#include "client/core.h"

/* The running core; a new one in a forked child.  NULL: errno says why there is
 * none. */
struct jrc_core *jrc_client_core(jsonrpcc_client *client);

/* A queue may outlive the caller's interest in the client: calls still in
 * flight end there. */
void jrc_client_ref(jsonrpcc_client *client);
void jrc_client_unref(jsonrpcc_client *client);

#endif
