#include "client/core.h"

#include <time.h>

struct timespec jrc_timespec(uint64_t us)
{
    return (struct timespec){(time_t)(us / 1000000),
                             (long)(us % 1000000) * 1000};
}

void jrc_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool jrc_core_is_ours(const struct jrc_core *core)
{
    return core->generation == jrc_fork_generation();
}

void jrc_core_ref(struct jrc_core *core)
{
    atomic_fetch_add_explicit(&core->refs, 1, memory_order_relaxed);
}

void jrc_core_listen(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg)
{
    pthread_mutex_lock(&core->lock);
    core->listener.fn = fn;
    core->listener.arg = arg;
    core->listener.wants_replay = true;
    bool wake = !core->closing && jrc_wake_leader(core);
    /* The one before must not run once this returns: its arg may go. */
    while (core->listener.runs && !jrc_is_leader(core))
        pthread_cond_wait(&core->listener.returned, &core->lock);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}

void jrc_core_undelivered(struct jrc_core *core, int64_t bytes)
{
    int64_t most = (int64_t)core->options.max_undelivered_bytes;
    int64_t before = atomic_fetch_add_explicit(&core->undelivered_bytes, bytes,
                                               memory_order_relaxed);

    if (bytes < 0)
        atomic_store_explicit(&core->consumed, true, memory_order_relaxed);
    /* Only the way down needs a wake: the way up happens in a turn. */
    if (before <= most || before + bytes > most)
        return;
    /* Either we see the leader asleep, or it sees our bytes before it sleeps.
     */
    atomic_thread_fence(memory_order_seq_cst);
    jrc_loop_wake(core->loop);
}
