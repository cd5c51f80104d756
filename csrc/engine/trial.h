/* Trials of servers in doubt: which call is one, and what its end means.
 * Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_TRIAL_H
#define JRC_TRIAL_H

#include "engine/state.h"

/* If servers or connections are due for a trial, choose which of the new calls
 * may be one: the call that loses least if it fails. */
void jrc_trial_choose(struct jrc_engine *engine,
                      const struct jrc_frames *frames, uint64_t now_us);

/* Start timing the silence on connection i, unless that has begun. */
void jrc_trial_begin(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* A call has been given to its connection as a trial.  From the first request
 * on, the silence of a suspect's connection counts.  A notification has no
 * response that could be missed. */
void jrc_trial_start(struct jrc_engine *engine, const struct jrc_call *call,
                     uint64_t now_us);

/* A request has left on connection i, all of it.  If it is the first one, even
 * if it was queued before the trial, its silence counts from now on. */
void jrc_trial_sent(struct jrc_engine *engine, uint32_t i, uint64_t id,
                    uint64_t now_us);

/* While a suspect's connection takes the first request, however slowly, it is
 * alive: when its time ends if no more of it leaves.  0: it has taken one, or
 * nobody waits for what it is taking. */
uint64_t jrc_trial_moving_us(const struct jrc_engine *engine, uint32_t i);

/* The time of connection i ended at end_us.  Whether first to measure how much
 * of a large trial the peer has got: our own system takes some megabytes long
 * before a slow link does. */
bool jrc_trial_asks(struct jrc_engine *engine, uint32_t i, uint64_t end_us);

/* The peer has taken so much of its output.  If that is more than before, and
 * was a lot to take, the time begins anew. */
void jrc_trial_measured(struct jrc_engine *engine, uint32_t i, uint64_t taken,
                        uint64_t now_us);

/* A call that was a trial on connection i has ended without a response.  A
 * notification never gets one: a connection that takes it and stays up has
 * proved itself.  is_sent: at least one byte of it has left. */
void jrc_trial_end(struct jrc_engine *engine, uint32_t i,
                   const struct jrc_call *call, bool is_sent, uint64_t now_us);

/* Mark what was sent on connection i before its server became a suspect: it may
 * still be busy with that. */
void jrc_trial_mark_elders(struct jrc_engine *engine, uint32_t i);

#endif
