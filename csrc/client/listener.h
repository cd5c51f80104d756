/* Events, for who wants to be told. */

#ifndef JRC_LISTENER_H
#define JRC_LISTENER_H

#include "client/core.h"

/* As jsonrpcc_on_event(). */
void jrc_listener_set(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg);

/* The leader's sink for the engine; arg is the core. */
void jrc_listener_add(void *arg, const jsonrpcc_event *event);

/* By the leader: tell what has not been told, as far as it is still known; all
 * of it, to a listener that wants a replay. */
void jrc_listener_emit(struct jrc_core *core, bool replay);

#endif
