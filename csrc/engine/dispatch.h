/* The way of a call through the engine: to a server's output, or to waiting for
 * a server; engine/call_end.h has its end.  Internal to the engine; times are
 * monotonic microseconds. */

#ifndef JRC_DISPATCH_H
#define JRC_DISPATCH_H

#include "engine/call_end.h"

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

/* Move frames that have not begun to leave from a connection, whose server is
 * in doubt, to others. */
void jrc_dispatch_reroute_unsent(struct jrc_engine *engine, uint32_t i,
                                 uint64_t now_us);

#endif
