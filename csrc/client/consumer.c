#include "client/consumer.h"

void jrc_consumer_keeps(struct jrc_core *core, int64_t bytes)
{
    int64_t most = (int64_t)core->options.max_undelivered_bytes;
    int64_t before = atomic_fetch_add_explicit(
        &core->consumer.undelivered_bytes, bytes, memory_order_relaxed);

    if (bytes < 0)
        atomic_store_explicit(&core->consumer.moved, true,
                              memory_order_relaxed);
    /* A wake-up is needed only on the way down: the way up happens in a
     * turn. */
    if (before <= most || before + bytes > most)
        return;
    /* Either we see the leader asleep, or it sees our bytes before it
     * sleeps. */
    atomic_thread_fence(memory_order_seq_cst);
    jrc_loop_wake(core->loop);
}

bool jrc_consumer_has_caught_up(const struct jrc_core *core)
{
    atomic_thread_fence(memory_order_seq_cst); /* see jrc_consumer_keeps() */
    return jrc_consumer_keeps_up(core);
}
