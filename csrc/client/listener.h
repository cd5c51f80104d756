/* Events and their listener. */

#ifndef JRC_LISTENER_H
#define JRC_LISTENER_H

#include "client/core.h"

/* Like jsonrpcc_on_event(). */
void jrc_listener_set(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg);

/* The leader's sink for the engine; arg is the core. */
void jrc_listener_add(void *arg, const jsonrpcc_event *event);

/* By the leader: report the events not reported yet, as far as they are kept;
 * or all that are kept, to a listener that wants a replay. */
void jrc_listener_emit(struct jrc_core *core, bool replay);

/* Under the lock, by the leader: whether there are events to report. */
bool jrc_listener_lacks(const struct jrc_listener *listener);

#endif
