/* Whom a crew takes care of, from its creation to its end. */

#ifndef JRC_ROSTER_H
#define JRC_ROSTER_H

#include "client/runner.h"

/* 0 or an errno: have the crew take care of a client, and tell of its queue by
 * token.  *joined, under the core's lock, becomes the member, until it leaves;
 * if it is one, nothing changes.  EINVAL: the client is another's member. */
int jrc_crew_join(struct jsonrpcc_crew *crew, struct jrc_core *core,
                  uint64_t token, struct jrc_member **joined);

/* Does nothing if it has left. */
void jrc_crew_leave(struct jrc_member *member);

#endif
