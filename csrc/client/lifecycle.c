/* A core, from its creation to its end. */

#include "client/lifecycle.h"

#include "client/crew.h"
#include "client/host.h"
#include "client/host_poll.h"
#include "client/iteration.h"
#include "client/leader.h"
#include "client/leadership.h"
#include "client/line.h"
#include "client/listener.h"
#include "client/options.h"
#include "client/server_list.h"
#include "client/shared_thread.h"
#include "engine/names.h"
#include "engine/servers_set.h"
#include "io/clock.h"
#include "io/thread.h"
#include "io/transport_tcp.h"
#include "wire/netstring.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Slots for each server that a list may have: when a new list has nothing but
 * others, those that leave keep theirs for a while. */
enum { SLOTS = 2 };

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
    jrc_alarm_close(core);
    atomic_store(&jrc_own_threads, 0); /* the parent's */
}

static const struct jrc_fork_hooks fork_hooks = {
    lock_for_fork,
    unlock_after_fork,
    abandon_in_child,
};

/* ---- the end ---- */

static void destroy(struct jrc_core *core)
{
    jrc_loop_free(core->loop);
    jrc_given_close(&core->given);
    jrc_tls_free(core->tls);
    jrc_tls_context_unref(core->tls_context);
    free(core->entries.list);
    jrc_alarm_close(core);
    if (core->engine.conns != NULL)
        jrc_engine_clear(&core->engine);
    jrc_host_free(core);
    jrc_calls_clear(&core->submission.calls);
    jrc_frames_clear(&core->submission.pending);
    jrc_server_list_free(core->submission.servers);
    jrc_hello_unref(core->submission.hello);
    jrc_frames_clear(&core->turn.taken);
    jrc_servers_clear(&core->servers);
    jrc_line_clear(core);
    pthread_cond_destroy(&core->submission.line.moved);
    pthread_cond_destroy(&core->life.ended);
    pthread_cond_destroy(&core->listener.returned);
    pthread_mutex_destroy(&core->lock);
    free(core);
}

/* Whether it was the last one. */
static bool drop_reference(struct jrc_core *core)
{
    return atomic_fetch_sub_explicit(&core->refs, 1, memory_order_acq_rel) == 1;
}

/* Without a reference left. */
static void end(struct jrc_core *core)
{
    jrc_fork_unwatch(&core->fork_watch);
    /* The event thread may still be about to unlock it, see below. */
    pthread_mutex_lock(&core->lock);
    pthread_mutex_unlock(&core->lock);
    destroy(core);
}

void jrc_core_unref(struct jrc_core *core)
{
    if (drop_reference(core))
        end(core);
}

/* ---- the event thread ---- */

/* Under the lock: everything has been delivered, so release the threads that
 * wait for that.  The core may live on with a client that is never freed;
 * descriptors do not. */
static void finish_close(struct jrc_core *core)
{
    core->life.closed = true;
    if (!core->leadership.is_shared)
        atomic_fetch_sub(&jrc_own_threads, 1);
    /* This thread ends, and another one may get its pthread_t. */
    jrc_set_leader(&core->leadership, JRC_NO_LEADER);
    jrc_alarm_close(core);
    pthread_cond_broadcast(&core->life.ended);
    pthread_cond_broadcast(&core->submission.line.moved);
    jrc_signal_followers(core);
    if (core->leadership.member != NULL)
        jrc_crew_tell(core->leadership.member);
}

/* By the event thread, as the last leader.  False: a callback forked, and this
 * is the child. */
static bool finish(struct jrc_core *core)
{
    jrc_loop_close(core->loop);
    pthread_mutex_lock(&core->lock);
    bool is_last = false;
    bool is_parent = jrc_report_rest(core);
    if (is_parent) {
        finish_close(core);
        /* Under the lock, so before anybody learns of the end: whoever waits
         * for it and then frees the client is the one to destroy the core, and
         * no thread does so behind the back of a program that exits. */
        is_last = drop_reference(core);
    }
    pthread_mutex_unlock(&core->lock);
    if (is_last)
        end(core);
    return is_parent;
}

static void *event_thread(void *arg)
{
    struct jrc_core *core = arg;
    enum jrc_watchdog found;
    uint64_t count;

    while ((found = jrc_watchdog_look(core)) == JRC_WATCHDOG_GOES_ON)
        while (read(core->leadership.alarm_fd, &count, sizeof count) < 0 &&
               errno == EINTR)
            continue;
    if (found == JRC_WATCHDOG_ENDED)
        finish(core);
    return NULL; /* in a forked child, too, like any function of a thread */
}

static const struct jrc_shared_hooks shared_hooks = {finish, jrc_core_unref};

/* The event thread owns a reference.  False: errno says why, and there is no
 * thread. */
static bool start_event_thread(struct jrc_core *core)
{
    /* One that cannot wait for the loop from outside waits in it. */
    core->leadership.is_shared =
        (core->options.flags & JSONRPCC_SHARED_THREAD) != 0 &&
        jrc_loop_fd(core->loop) >= 0;
    if (!jrc_alarm_open(core))
        return false;
    jrc_core_ref(core);
    if (!core->leadership.is_shared)
        atomic_fetch_add(&jrc_own_threads, 1);
    int error = core->leadership.is_shared
                    ? jrc_shared_join(core, &shared_hooks)
                    : jrc_thread_start(event_thread, core, JRC_EVENT_STACK);
    if (error == 0)
        return true;
    atomic_fetch_sub(&core->refs, 1);
    if (!core->leadership.is_shared)
        atomic_fetch_sub(&jrc_own_threads, 1);
    errno = error;
    return false;
}

/* ---- opening ---- */

/* Spreads the reconnects of different processes; not fit for secrets. */
static uint64_t seed(const struct jrc_core *core)
{
    return jrc_now_us() * 0x9e3779b97f4a7c15ULL ^ (uint64_t)getpid() << 32 ^
           (uintptr_t)core;
}

/* 0 or an errno; destroy() removes whatever exists by then. */
static int set_up(struct jrc_core *core, const char *servers, bool is_first,
                  char *why, size_t why_size)
{
    const jsonrpcc_options *options = &core->options;
    bool is_hosted = (options->flags & JSONRPCC_HOST_CALLBACKS) != 0;
    struct jrc_sink sink = {core,
                            is_hosted ? jrc_host_outcome : jrc_turn_outcome,
                            jrc_listener_add};
    struct jrc_server_list list;
    int error = jrc_server_list_read(&list, servers, options->max_servers, why,
                                     why_size);
    uint64_t never;

    if (error != 0)
        return error;
    bool is_set =
        jrc_servers_init(&core->servers, SLOTS * options->max_servers) &&
        jrc_calls_init(&core->submission.calls,
                       options->max_in_flight + JRC_RESERVE) &&
        jrc_engine_init(&core->engine, &core->servers, &core->submission.calls,
                        &jrc_netstrings, options, &sink, seed(core)) &&
        jrc_names_expand(&core->engine, &list, jrc_now_us()) &&
        jrc_servers_set(&core->servers, &list, jrc_now_us(), 0, &never);
    jrc_server_list_clear(&list);
    if (!is_set)
        return ENOMEM;
    jrc_entries_copy(&core->entries, &core->engine.discovery);
    error = is_first ? jrc_server_list_give(core, why, why_size) : 0;
    if (error == 0 && is_hosted)
        error = jrc_host_new(core);
    if (error != 0)
        return error;
    if (core->tls_context != NULL)
        core->tls = jrc_tls_new(core->tls_context);
    if (core->tls_context != NULL && core->tls == NULL)
        return ENOMEM;
    /* TLS 1.3 tells that it is established before the server has seen our
     * certificate. */
    if (jrc_tls_context_has_own(core->tls_context))
        core->servers.prove_us = (uint64_t)options->connect_timeout_ms * 1000;
    core->loop = jrc_loop_new(&core->engine, core->tls != NULL
                                                 ? jrc_tls_transport(core->tls)
                                                 : &jrc_tcp);
    if (core->loop == NULL)
        return errno;
    jrc_loop_give(core->loop, &core->given);
    jrc_servers_start(&core->servers, (uint64_t)options->reconnect_ms * 1000,
                      (uint64_t)options->reconnect_max_ms * 1000,
                      (uint64_t)options->connect_timeout_ms * 1000,
                      jrc_options_attempts(options), jrc_now_us());
    return 0;
}

int jrc_core_new(const jsonrpcc_options *options, struct jrc_tls_context *tls,
                 struct jrc_hello *hello, bool is_first,
                 struct jrc_core **result, char *why, size_t why_size)
{
    struct jrc_core *core = calloc(1, sizeof *core);

    if (core == NULL)
        return ENOMEM;
    core->options = *options;
    core->options.servers = NULL;
    core->options.tls = NULL;
    core->tls_context = jrc_tls_context_ref(tls);
    core->submission.hello = jrc_hello_ref(hello);
    core->submission.has_hello = true;
    core->generation = jrc_fork_generation();
    core->leadership.alarm_fd = -1;
    core->turn.deferred_last = &core->turn.deferred;
    atomic_init(&core->refs, 1);
    pthread_mutex_init(&core->lock, NULL);
    jrc_cond_init(&core->submission.line.moved);
    jrc_cond_init(&core->life.ended);
    jrc_cond_init(&core->listener.returned);
    int error = set_up(core, options->servers, is_first, why, why_size);
    if (error != 0) {
        destroy(core);
        return error;
    }
    jrc_fork_watch(&core->fork_watch, &fork_hooks, core);
    if (!start_event_thread(core)) {
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

/* Under the lock.  Returns whether the core closed in time. */
static bool await_close(struct jrc_core *core, uint64_t until_us)
{
    struct timespec until = jrc_timespec(until_us);
    int error = 0;

    while (!core->life.closed && error != ETIMEDOUT)
        error = until_us == JRC_NEVER
                    ? pthread_cond_wait(&core->life.ended, &core->lock)
                    : pthread_cond_timedwait(&core->life.ended, &core->lock,
                                             &until);
    return core->life.closed;
}

/* Whether this thread is inside a callback of the core.  If so, the core's end
 * waits for this thread. */
static bool is_in_callback(void *arg)
{
    struct jrc_core *core = arg;

    pthread_mutex_lock(&core->lock);
    bool is_in = jrc_is_leader(core) || jrc_host_polls_here(core);
    pthread_mutex_unlock(&core->lock);
    return is_in;
}

bool jrc_core_close(struct jrc_core *core, int32_t timeout_ms)
{
    /* Callbacks of two clients may close each other's client. */
    bool inside =
        (timeout_ms != 0 || core->host != NULL) && jrc_fork_any(is_in_callback);
    uint64_t until_us = inside ? 0
                        : timeout_ms < 0
                            ? JRC_NEVER
                            : jrc_now_us() + (uint64_t)timeout_ms * 1000;

    pthread_mutex_lock(&core->lock);
    if (!core->life.closing) {
        core->life.closing = true;
        pthread_cond_broadcast(&core->submission.line.moved);
        if (core->leadership.leader != JRC_NO_LEADER)
            jrc_loop_wake(core->loop);
        else
            jrc_alarm_set(core, jrc_now_us(), 0);
    }
    bool closed = await_close(core, until_us);
    pthread_mutex_unlock(&core->lock);
    return closed && (core->host == NULL || jrc_host_finish(core, until_us));
}
