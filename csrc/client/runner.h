/* What the thread of a crew that runs does: see the diagram in crew.h. */

#ifndef JRC_RUNNER_H
#define JRC_RUNNER_H

#include "client/crew.h"

/* Under the crew's lock, after a gathering: it is about to leave. */
void jrc_crew_drop(struct jsonrpcc_crew *crew, struct jrc_member *member);

void jrc_member_unref(struct jrc_member *member);

/* The lookout, when its alarm has gone off.  False: that was the last time. */
bool jrc_crew_look(struct jsonrpcc_crew *crew);

#endif
