/* The handle that callers hold: options, and the core that runs for them. */

#ifndef JRC_CLIENT_H
#define JRC_CLIENT_H

#include "core.h"

/* The running core; a new one in a forked child.  NULL: out of memory. */
struct jrc_core *jrc_client_core(jsonrpcc_client *client);

#endif
