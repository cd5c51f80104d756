#include "client/host.h"

#include "client/consumer.h"
#include "client/iteration.h"
#include "client/leadership.h"
#include "wire/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- lists of ended calls ---- */

static const struct jrc_ended nothing = {JRC_NO_CALL, JRC_NO_CALL};

/* Append the calls of from, which is not empty, to those of to. */
static void append(struct jrc_calls *calls, struct jrc_ended *to,
                   struct jrc_ended from)
{
    if (to->first == JRC_NO_CALL)
        to->first = from.first;
    else
        calls->slots[to->last].next = from.first;
    to->last = from.last;
}

static void drop(struct jrc_core *core, struct jrc_ended *list)
{
    while (list->first != JRC_NO_CALL) {
        uint32_t index = list->first;
        jrc_ended_shift(&core->submission.calls, list);
        free((char *)(uintptr_t)core->host->outcomes[index].json);
    }
}

/* ---- what there is to poll for ---- */

void jrc_host_ring(struct jrc_host *host)
{
    if (host->rung || host->fd < 0)
        return;
    host->rung = true;
    (void)!write(host->fd, &(uint64_t){1}, sizeof(uint64_t));
}

bool jrc_host_has_events(const struct jrc_host *host)
{
    return host->listener != NULL && host->told < host->event_count &&
           !atomic_load(&host->abandoned);
}

/* ---- the leader's side ---- */

/* At the end of a turn: hand over what it produced. */
static void publish(void *arg)
{
    struct jrc_core *core = arg;
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    append(&core->submission.calls, &host->ready, host->brought);
    host->brought = nothing;
    jrc_host_ring(host);
    pthread_mutex_unlock(&core->lock);
    jrc_consumer_keeps(core, host->brought_bytes);
    host->brought_bytes = 0;
}

/* A copy of the outcome with its text, or ENOMEM if there is no memory for
 * that. */
static jsonrpcc_outcome keep(const jsonrpcc_outcome *outcome)
{
    jsonrpcc_outcome kept = *outcome;

    if (outcome->json == NULL)
        return kept;
    char *text = malloc(outcome->json_len + 1); /* never of 0 bytes */
    kept.json = text;
    if (text != NULL) {
        memcpy(text, outcome->json, outcome->json_len);
    } else {
        kept.status = JSONRPCC_ENOMEM;
        kept.json_len = 0;
    }
    return kept;
}

void jrc_host_outcome(void *arg, const struct jrc_call *call,
                      const jsonrpcc_outcome *outcome)
{
    struct jrc_core *core = arg;
    struct jrc_host *host = core->host;

    if (call->done == NULL || (call->flags & JSONRPCC_ANY_THREAD) != 0) {
        jrc_turn_outcome(core, call, outcome);
        return;
    }
    uint32_t index = jrc_calls_index(&core->submission.calls, call);
    jrc_calls_hold(&core->submission.calls, call);
    host->outcomes[index] = keep(outcome);
    host->brought_bytes += (int64_t)host->outcomes[index].json_len;
    if (host->brought.first == JRC_NO_CALL)
        jrc_turn_defer(core, &host->publish);
    append(&core->submission.calls, &host->brought,
           (struct jrc_ended){index, index});
}

/* The core's listener: stores events for the host's. */
static void on_event(void *arg, const jsonrpcc_event *event)
{
    struct jrc_core *core = arg;
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    host->events[host->event_count++ % JRC_EVENTS] = *event;
    if (host->listener != NULL)
        jrc_host_ring(host);
    pthread_mutex_unlock(&core->lock);
}

/* ---- the listener, and what callbacks put off ---- */

void jrc_host_listen(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg)
{
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    host->listener = fn;
    host->listener_arg = arg;
    host->told = 0;
    if (jrc_host_has_events(host))
        jrc_host_ring(host);
    /* The previous listener must not run once this returns: its arg may be
     * freed. */
    while (host->tells > 0 && !jrc_host_is_here(core))
        pthread_cond_wait(&host->progress, &core->lock);
    pthread_mutex_unlock(&core->lock);
}

void jrc_host_defer(struct jrc_core *core, jsonrpcc_deferred *deferred)
{
    struct jrc_host *host = core->host;

    pthread_mutex_lock(&core->lock);
    if (jrc_is_leader(core)) { /* done of a call with ANY_THREAD */
        jrc_turn_defer(core, deferred);
    } else {
        deferred->next = NULL;
        *host->deferred_last = deferred;
        host->deferred_last = &deferred->next;
    }
    pthread_mutex_unlock(&core->lock);
}

/* ---- life ---- */

int jrc_host_new(struct jrc_core *core)
{
    struct jrc_host *host = calloc(1, sizeof *host);

    if (host == NULL)
        return ENOMEM;
    core->host = host;
    host->thread = pthread_self();
    host->brought = host->ready = nothing;
    host->publish.fn = publish;
    host->publish.arg = core;
    host->deferred_last = &host->deferred;
    jrc_cond_init(&host->progress);
    host->outcomes =
        jrc_pages_new(core->submission.calls.capacity, sizeof *host->outcomes);
    host->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    core->listener.fn = on_event;
    core->listener.arg = core;
    return host->fd < 0 ? errno : host->outcomes == NULL ? ENOMEM : 0;
}

void jrc_host_abandon(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    if (host == NULL)
        return;
    atomic_store(&host->abandoned, true);
    if (host->fd >= 0)
        close(host->fd);
    host->fd = -1;
    host->rung = false;
}

void jrc_host_free(struct jrc_core *core)
{
    struct jrc_host *host = core->host;

    if (host == NULL)
        return;
    drop(core, &host->ready);
    drop(core, &host->brought);
    jrc_host_abandon(core);
    pthread_cond_destroy(&host->progress);
    jrc_pages_free(host->outcomes, core->submission.calls.capacity,
                   sizeof *host->outcomes);
    free(host);
}
