/* Whether the consumer keeps up with what was received: if not, reading
 * stops. */

#ifndef JRC_CONSUMER_H
#define JRC_CONSUMER_H

#include "client/core.h"

/* As jsonrpcc_undelivered(). */
void jrc_consumer_keeps(struct jrc_core *core, int64_t bytes);

/* Whether the consumer keeps at most max_undelivered_bytes. */
static inline bool jrc_consumer_keeps_up(const struct jrc_core *core)
{
    return atomic_load_explicit(&core->consumer.undelivered_bytes,
                                memory_order_relaxed) <=
           (int64_t)core->options.max_undelivered_bytes;
}

/* For a leader that does not read and is about to sleep: whether the consumer
 * has caught up since the leader last looked.  Until the leader sleeps, the
 * consumer does not wake it. */
bool jrc_consumer_has_caught_up(const struct jrc_core *core);

#endif
