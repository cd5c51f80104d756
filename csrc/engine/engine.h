/* The client as a state machine: calls, servers and connections meet here.
 *
 * Sans-I/O.  Bytes and the time come in; what is to be done comes out as
 * actions (jrc_engine_next) and as calls of the sink.  No socket, no thread,
 * no clock, no lock: one thread at a time uses an engine, except for the parts
 * of the call table that call_table.h gives to submitters.
 *
 * A server has one connection or several; each has an index of its own (see
 * state.h).  Times are monotonic microseconds. */

#ifndef JRC_ENGINE_H
#define JRC_ENGINE_H

#include "engine/tick.h"

/* The engine borrows servers, calls and framing, and copies the options, which
 * have their defaults.  False: out of memory. */
bool jrc_engine_init(struct jrc_engine *engine, struct jrc_servers *servers,
                     struct jrc_calls *calls, const struct jrc_framing *framing,
                     const jsonrpcc_options *options,
                     const struct jrc_sink *sink, uint64_t seed);
void jrc_engine_clear(struct jrc_engine *engine);

/* Take over submitted frames; the queue is empty afterwards. */
void jrc_engine_submit(struct jrc_engine *engine, struct jrc_frames *frames,
                       uint64_t now_us);

/* Say whether we are receiving.  While we are not, the silence is our own
 * doing: no server is blamed for a call that is in flight at such a time. */
void jrc_engine_set_reading(struct jrc_engine *engine, bool reading,
                            uint64_t now_us);

void jrc_engine_cancel(struct jrc_engine *engine, uint64_t id, uint64_t now_us);

/* Fetch the next action.  False: there is none. */
bool jrc_engine_next(struct jrc_engine *engine, struct jrc_action *action);

/* Fail all requests with ECLOSED; give unsent notifications linger_us to
 * leave. */
void jrc_engine_close(struct jrc_engine *engine, uint64_t now_us,
                      uint64_t linger_us);
/* After close: whether there is nothing left to wait for. */
bool jrc_engine_finished(const struct jrc_engine *engine);

#endif
