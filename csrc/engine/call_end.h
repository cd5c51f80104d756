/* The end of a call: its outcome, and what it leaves in queues.  Internal to
 * the engine; times are monotonic microseconds. */

#ifndef JRC_CALL_END_H
#define JRC_CALL_END_H

#include "engine/state.h"

/* Whether the frame of a queued call has begun to leave, so that it can no
 * longer be held back. */
bool jrc_dispatch_has_begun(const struct jrc_engine *engine,
                            const struct jrc_call *call);

/* Remove the frames of ended calls from a queue. */
void jrc_dispatch_purge(struct jrc_engine *engine, struct jrc_frames *frames);

/* Take the call from its owner and report its outcome: the only way a call
 * ends.  Fills in what the call itself knows. */
void jrc_dispatch_finish(struct jrc_engine *engine, struct jrc_call *call,
                         jsonrpcc_outcome *outcome, uint64_t now_us);

/* The same for a local failure; says whether the request may have run. */
void jrc_dispatch_fail(struct jrc_engine *engine, struct jrc_call *call,
                       jsonrpcc_status status, int32_t reason, uint64_t now_us);

#endif
