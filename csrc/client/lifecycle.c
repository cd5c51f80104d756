/* A core from its making to its end. */

#include "client/core.h"
#include "client/host.h"
#include "client/options.h"
#include "engine/servers_parse.h"
#include "io/clock.h"
#include "wire/netstring.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- around fork(): first the lock, then the loop's ---- */

static void lock_for_fork(void *arg)
{
    struct jrc_core *core = arg;

    pthread_mutex_lock(&core->lock);
    jrc_loop_lock_fds(core->loop);
}

static void unlock_after_fork(void *arg)
{
    struct jrc_core *core = arg;

    jrc_loop_unlock_fds(core->loop);
    pthread_mutex_unlock(&core->lock);
}

static void abandon_in_child(void *arg)
{
    struct jrc_core *core = arg;

    jrc_loop_abandon(core->loop);
    jrc_host_abandon(core);
    if (core->leadership.alarm_fd >= 0)
        close(core->leadership.alarm_fd);
}

static const struct jrc_fork_hooks fork_hooks = {
    lock_for_fork,
    unlock_after_fork,
    abandon_in_child,
};

/* ---- life ---- */

static void destroy(struct jrc_core *core)
{
    jrc_loop_free(core->loop);
    if (core->leadership.alarm_fd >= 0)
        close(core->leadership.alarm_fd);
    if (core->engine.conns != NULL)
        jrc_engine_clear(&core->engine);
    jrc_host_free(core);
    jrc_calls_clear(&core->calls);
    jrc_frames_clear(&core->pending);
    jrc_frames_clear(&core->taken);
    jrc_servers_clear(&core->servers);
    jrc_line_clear(core);
    pthread_cond_destroy(&core->line.moved);
    pthread_cond_destroy(&core->closed_cond);
    pthread_cond_destroy(&core->listener.returned);
    pthread_mutex_destroy(&core->lock);
    free(core);
}

void jrc_core_unref(struct jrc_core *core)
{
    if (atomic_fetch_sub_explicit(&core->refs, 1, memory_order_acq_rel) != 1)
        return;
    jrc_fork_unwatch(&core->fork_watch);
    destroy(core);
}

/* Spreads reconnects over processes; guards nothing. */
static uint64_t seed(const struct jrc_core *core)
{
    return jrc_now_us() * 0x9e3779b97f4a7c15ULL ^ (uint64_t)getpid() << 32 ^
           (uintptr_t)core;
}

/* 0 or an errno; what there is by then destroy() takes away. */
static int set_up(struct jrc_core *core, const char *servers, char *why,
                  size_t why_size)
{
    const jsonrpcc_options *options = &core->options;
    struct jrc_limits limits = {
        .max_depth = options->max_depth,
        .max_response = options->max_response,
        .connect_timeout_us = (uint64_t)options->connect_timeout_ms * 1000,
    };
    bool is_hosted = (options->flags & JSONRPCC_HOST_CALLBACKS) != 0;
    struct jrc_sink sink = {
        core, is_hosted ? jrc_host_outcome : jrc_turn_outcome, jrc_turn_event};
    int error = jrc_servers_parse(&core->servers, servers, why, why_size);

    if (error != 0)
        return error;
    if (!jrc_calls_init(&core->calls, options->max_in_flight + JRC_RESERVE) ||
        !jrc_engine_init(&core->engine, &core->servers, &core->calls,
                         &jrc_netstrings, &limits, &sink, seed(core)))
        return ENOMEM;
    error = is_hosted ? jrc_host_new(core) : 0;
    if (error != 0)
        return error;
    /* A child's ids are not those of the calls that it inherited. */
    jrc_calls_set_epoch(&core->calls, core->generation);
    core->loop = jrc_loop_new(&core->engine, &core->servers);
    if (core->loop == NULL)
        return errno;
    jrc_servers_start(&core->servers, (uint64_t)options->reconnect_ms * 1000,
                      (uint64_t)options->reconnect_max_ms * 1000,
                      jrc_options_attempts(options), jrc_now_us());
    return 0;
}

int jrc_core_new(const jsonrpcc_options *options, struct jrc_core **result,
                 char *why, size_t why_size)
{
    struct jrc_core *core = calloc(1, sizeof *core);

    if (core == NULL)
        return ENOMEM;
    core->options = *options;
    core->options.servers = NULL;
    core->generation = jrc_fork_generation();
    core->leadership.alarm_fd = -1;
    core->deferred_last = &core->deferred;
    atomic_init(&core->refs, 1);
    pthread_mutex_init(&core->lock, NULL);
    jrc_cond_init(&core->line.moved);
    jrc_cond_init(&core->closed_cond);
    jrc_cond_init(&core->listener.returned);
    int error = set_up(core, options->servers, why, why_size);
    if (error != 0) {
        destroy(core);
        return error;
    }
    jrc_fork_watch(&core->fork_watch, &fork_hooks, core);
    if (!jrc_watchdog_start(core)) {
        error = errno;
        jrc_core_unref(core);
        return error;
    }
    pthread_mutex_lock(&core->lock);
    jrc_wake_leader(core);
    pthread_mutex_unlock(&core->lock);
    *result = core;
    return 0;
}

/* Whether this thread leads the core: its callbacks, and so its end, wait for
 * this thread. */
static bool is_led_here(void *arg)
{
    struct jrc_core *core = arg;

    pthread_mutex_lock(&core->lock);
    bool is_led = jrc_is_leader(core);
    pthread_mutex_unlock(&core->lock);
    return is_led;
}

bool jrc_core_close(struct jrc_core *core, int32_t timeout_ms)
{
    uint64_t until_us =
        timeout_ms < 0 ? JRC_NEVER : jrc_now_us() + (uint64_t)timeout_ms * 1000;
    /* Callbacks of two clients may close each other's. */
    bool waits = timeout_ms != 0 && !jrc_fork_any(is_led_here);

    pthread_mutex_lock(&core->lock);
    if (!core->closing) {
        core->closing = true;
        pthread_cond_broadcast(&core->line.moved);
        if (core->leadership.leader != JRC_NO_LEADER)
            jrc_loop_wake(core->loop);
        else
            jrc_watchdog_set_alarm(core, jrc_now_us(), 0);
    }
    if (waits) {
        struct timespec until = jrc_timespec(until_us);
        while (!core->closed)
            if (until_us == JRC_NEVER)
                pthread_cond_wait(&core->closed_cond, &core->lock);
            else if (pthread_cond_timedwait(&core->closed_cond, &core->lock,
                                            &until) == ETIMEDOUT)
                break;
    }
    bool closed = core->closed;
    pthread_mutex_unlock(&core->lock);
    return closed;
}
