/* What the leader does: one turn after another. */

#ifndef JRC_ITERATION_H
#define JRC_ITERATION_H

#include "client/core.h"

/* Under the lock, which is released meanwhile: take turns until may_stay
 * returns false or until_us has passed.  False: a callback forked, and this is
 * the child.
 *
 * A turn takes what was submitted, lets the engine work, waits for events until
 * until_us, and emits outcomes and events.  may_stay is called under the lock,
 * before a turn and before its wait.
 *
 * A turn is bounded: it takes what was submitted before it began, and a leader
 * that may not stay leaves after that.  Each turn also polls, so that a stream
 * of calls from callbacks and other threads cannot delay sockets and deadlines:
 * those calls wait for the next turn. */
bool jrc_take_turns(struct jrc_core *core,
                    bool (*may_stay)(const struct jrc_core *core,
                                     const void *arg),
                    const void *arg, uint64_t until_us);

/* Under the lock, which is released meanwhile: see what has arrived, if it
 * polls, and take one turn, without waiting.  Nothing that can be done now is
 * left for another turn, unless jrc_has_work().  False: as jrc_take_turns(). */
bool jrc_take_turn(struct jrc_core *core, bool polls);

/* Under the lock, which is released meanwhile, by a leader that takes no turns
 * any more: report the events that no turn has reported.  False: a callback
 * forked, and this is the child. */
bool jrc_report_rest(struct jrc_core *core);

/* Under the lock, by the leader or when there is none: whether the next turn
 * has work of which no thread told the leader, because it was not asleep. */
bool jrc_has_work(const struct jrc_core *core);

/* Likewise: whether it closes and the last call has ended, so that all that
 * remains is the event thread's. */
bool jrc_has_ended(const struct jrc_core *core);

/* When the next turn has something to do, even if nothing happens.  By the
 * leader, or under the lock when there is none. */
uint64_t jrc_next_turn_us(const struct jrc_core *core);

/* The leader's sink for the engine; arg is the core. */
void jrc_turn_outcome(void *arg, const struct jrc_call *call,
                      const jsonrpcc_outcome *outcome);

/* The time, for a call: in a callback that is told an outcome, when that came,
 * unless that was some milliseconds ago. */
uint64_t jrc_turn_time(const struct jrc_core *core);

/* By the leader, in a callback: like jsonrpcc_defer(). */
static inline void jrc_turn_defer(struct jrc_core *core,
                                  jsonrpcc_deferred *deferred)
{
    deferred->next = NULL;
    *core->turn.deferred_last = deferred;
    core->turn.deferred_last = &deferred->next;
}

#endif
