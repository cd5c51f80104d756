/* What connections say first: as users give it, and on its way to the leader.
 */

#ifndef JRC_CLIENT_HELLO_H
#define JRC_CLIENT_HELLO_H

#include "client/core.h"

/* Read the hello of complete options; *hello is NULL if there is none.  0,
 * ENOMEM, or EINVAL and why. */
int jrc_hello_read(struct jrc_hello **hello, const jsonrpcc_options *options,
                   char *why, size_t why_size);

/* Have the leader take in a hello, whose reference is taken over in any case.
 * ECLOSED: the core is closing. */
jsonrpcc_status jrc_core_set_hello(struct jrc_core *core,
                                   struct jrc_hello *hello);

#endif
