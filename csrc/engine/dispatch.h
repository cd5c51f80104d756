/* The way of a call through the engine: to a server's output, to waiting for a
 * server, or to its end.  Internal to the engine; times are monotonic
 * microseconds. */

#ifndef JRC_DISPATCH_H
#define JRC_DISPATCH_H

#include "engine/state.h"

/* Calls found every server down: have the servers tried again soon. */
void jrc_dispatch_ask(struct jrc_engine *engine, uint64_t now_us);

/* Give a call's frame to a server, let it wait for one, or end the call. */
void jrc_dispatch_call(struct jrc_engine *engine, struct jrc_call *call,
                       const char *bytes, size_t len, uint64_t now_us);

/* Give the frames of all new calls to one server without copying them, if there
 * is only one to choose and it has nothing to send.  False: dispatch them one
 * by one. */
bool jrc_dispatch_block(struct jrc_engine *engine, struct jrc_frames *frames,
                        uint64_t now_us);

/* Keep the memory of an output that has become empty for the next one.  When
 * calls go to one server after another, all use the same memory, which is in
 * the cache. */
void jrc_dispatch_recycle_put(struct jrc_engine *engine,
                              struct jrc_frames *out);

/* Let waiting calls proceed if what they wait for has changed. */
void jrc_dispatch_flush_waiting(struct jrc_engine *engine, uint64_t now_us);

/* Move frames that have not begun to leave from a server in doubt to others. */
void jrc_dispatch_reroute_unsent(struct jrc_engine *engine, uint32_t i,
                                 uint64_t now_us);

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
