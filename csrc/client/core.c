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

void jrc_stay_in_parent(struct jrc_core *core)
{
    if (jrc_core_is_ours(core))
        return;
    pthread_mutex_lock(&core->lock); /* fork() left it unlocked */
    longjmp(*core->turn.way_out, 1);
}
