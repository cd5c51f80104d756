/* The host's side: its polls run callbacks and listener; so does a close, with
 * what is left. */

#ifndef JRC_HOST_POLL_H
#define JRC_HOST_POLL_H

#include "client/host.h"

enum {
    JRC_HOST_TURN = 256, /* the most callbacks that one poll runs */
    JRC_HOST_SOME = 32   /* the most callbacks taken under one lock */
};

/* Like jsonrpcc_host_poll().  Callbacks may free the client, so the caller
 * holds a reference, which it must not release in a child that a callback
 * forked. */
bool jrc_host_poll(struct jrc_core *core);

/* After close: run the remaining callbacks if this is the host's thread,
 * otherwise wait for that thread to run them.  Returns whether all ran by
 * until_us (0, in a callback: only look). */
bool jrc_host_finish(struct jrc_core *core, uint64_t until_us);

#endif
