/* A client in a crew, see crew.h. */

#ifndef JRC_MEMBER_H
#define JRC_MEMBER_H

#include "client/core.h"

/* Join, unless it has: OK; *joined is set.  EINVAL: another waiter of the
 * client is in a crew, or nobody attends to the client's loop.  ENOMEM. */
jsonrpcc_status jrc_crew_join(struct jsonrpcc_crew *crew, struct jrc_core *core,
                              uint64_t token, struct jrc_member **joined);

/* What *joined was leaves, unless it has left. */
void jrc_crew_leave(struct jrc_core *core, struct jrc_member **joined);

#endif
