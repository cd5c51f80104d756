#include "client/host_poll.h"

#include "client/consumer.h"
#include "client/line.h"
#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A callback to run. */
struct told {
    jsonrpcc_done_fn done;
    void *arg;
    uint64_t token;
    jsonrpcc_outcome outcome; /* with a text of its own */
};

/* Take the next callbacks.  Their slots are given back first, so that a
 * program that has seen an outcome finds its slot free.  Returns how many
 * there were. */
static size_t take(struct jrc_core *core, struct told some[JRC_HOST_SOME],
                   size_t most)
{
    struct jrc_host *host = core->host;
    size_t count = 0;

    pthread_mutex_lock(&core->lock);
    while (count < most && host->ready.first != JRC_NO_CALL) {
        struct jrc_call *call =
            jrc_ended_shift(&core->submission.calls, &host->ready);
        some[count++] = (struct told){
            call->done, call->arg, call->token,
            host->outcomes[jrc_calls_index(&core->submission.calls, call)]};
        jrc_calls_undo(&core->submission.calls, call);
    }
    if (count > 0 && core->submission.line.first != NULL)
        jrc_line_move(core);
    pthread_mutex_unlock(&core->lock);
    return count;
}

/* Whether the poll continues: no callback has freed the client, and this is not
 * a child that one has forked. */
static bool goes_on(const struct jrc_core *core)
{
    return jrc_core_is_ours(core) && !atomic_load(&core->host->abandoned);
}

static void run_outcomes(struct jrc_core *core)
{
    struct told some[JRC_HOST_SOME];
    size_t left = JRC_HOST_TURN, count;
    bool on = true;

    while (on && left > 0 && (count = take(core, some, JRC_HOST_SOME)) > 0) {
        int64_t bytes = 0;
        for (size_t i = 0; i < count; i++) {
            const struct told *told = &some[i];
            if (on)
                told->done(told->arg, told->token, &told->outcome);
            on = on && goes_on(core);
            bytes += (int64_t)told->outcome.json_len;
            free((char *)(uintptr_t)told->outcome.json);
        }
        if (on)
            jrc_consumer_keeps(core, -bytes);
        left -= count;
    }
}

/* Under the lock, if there is one: the next event that is still kept. */
static jsonrpcc_event next_event(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    if (host->event_count - host->told > JRC_EVENTS) {
        uint64_t oldest = host->event_count - JRC_EVENTS;
        jrc_add(&core->listener.dropped, oldest - host->told);
        host->told = oldest;
    }
    return host->events[host->told++ % JRC_EVENTS];
}

static void run_events(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    for (int left = JRC_EVENTS; left > 0 && jrc_host_has_events(host); left--) {
        jsonrpcc_event event = next_event(core);
        jsonrpcc_event_fn fn = host->listener;
        void *arg = host->listener_arg;
        host->tells++;
        pthread_mutex_unlock(&core->lock);
        fn(arg, &event);
        if (!jrc_core_is_ours(core))
            return;
        pthread_mutex_lock(&core->lock);
        host->tells--;
        pthread_cond_broadcast(&host->progress);
    }
    pthread_mutex_unlock(&core->lock);
}

/* Whatever these defer in turn is left to the next poll. */
static void run_deferred(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    jsonrpcc_deferred *deferred = host->deferred;
    host->deferred = NULL;
    host->deferred_last = &host->deferred;
    pthread_mutex_unlock(&core->lock);
    while (deferred != NULL && goes_on(core)) {
        jsonrpcc_deferred *next = deferred->next;
        deferred->fn(deferred->arg);
        deferred = next;
    }
}

/* Under the lock. */
static bool has_work(const struct jrc_host *host)
{
    return host->ready.first != JRC_NO_CALL || jrc_host_has_events(host) ||
           host->deferred != NULL;
}

/* Under the lock: keep the descriptor readable while there is work. */
static void settle(struct jrc_host *host)
{
    uint64_t rings;

    if (has_work(host)) {
        jrc_host_ring(host);
    } else if (host->rung) {
        (void)!read(host->fd, &rings, sizeof rings);
        host->rung = false;
    }
}

/* A poll may run inside another, when a callback runs the host's loop, but not
 * beside another. */
static bool enter(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    bool alone = (host->polls == 0 || jrc_host_is_here(core)) &&
                 !atomic_load(&host->abandoned);
    if (alone) {
        host->thread = pthread_self();
        host->polls++;
    }
    pthread_mutex_unlock(&core->lock);
    return alone;
}

/* Returns whether there is more to do. */
static bool leave(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    bool more = !atomic_load(&host->abandoned) && has_work(host);
    settle(host);
    host->polls--;
    pthread_cond_broadcast(&host->progress);
    pthread_mutex_unlock(&core->lock);
    return more;
}

bool jrc_host_poll(struct jrc_core *core)
{
    if (!enter(core))
        return false;
    run_outcomes(core);
    if (goes_on(core))
        run_events(core);
    if (goes_on(core))
        run_deferred(core);
    if (!jrc_core_is_ours(core))
        return false;
    return leave(core);
}

/* Run what is left on this thread.  Returns whether that was all. */
static bool run_rest(struct jrc_core *core, uint64_t until_us)
{
    bool more;

    do
        more = jrc_host_poll(core);
    while (more && jrc_now_us() < until_us);
    return !more;
}

/* Wait for the host's thread to run what is left.  Returns whether it did. */
static bool await_rest(struct jrc_core *core, uint64_t until_us)
{
    struct jrc_host *host = core->host;
    struct timespec until = jrc_timespec(until_us);
    int error = 0;

    pthread_mutex_lock(&core->lock);
    while ((has_work(host) || host->polls > 0) && error != ETIMEDOUT)
        error =
            until_us == JRC_NEVER
                ? pthread_cond_wait(&host->progress, &core->lock)
                : pthread_cond_timedwait(&host->progress, &core->lock, &until);
    bool all = !has_work(host) && host->polls == 0;
    pthread_mutex_unlock(&core->lock);
    return all;
}

bool jrc_host_finish(struct jrc_core *core, uint64_t until_us)
{
    pthread_mutex_lock(&core->lock);
    bool here = jrc_host_is_here(core);
    bool abandoned = atomic_load(&core->host->abandoned);
    pthread_mutex_unlock(&core->lock);
    if (abandoned)
        return true;
    return here && until_us > 0 ? run_rest(core, until_us)
                                : await_rest(core, until_us);
}
