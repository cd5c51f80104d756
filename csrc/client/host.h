/* Callbacks that wait for the host's thread; see JSONRPCC_HOST_CALLBACKS.
 *
 * A call ends in the leader's turn, like any other, but its slot is held until
 * the host polls.  The slot contains the done function, its argument and the
 * token; the outcome is stored beside it.  So max_in_flight bounds what a slow
 * host can accumulate, and waiting outcomes need no memory except for their
 * texts, which count as undelivered. */

#ifndef JRC_HOST_H
#define JRC_HOST_H

#include "client/core.h"

/* Ended calls, oldest first: slots, chained by next. */
struct jrc_ended {
    uint32_t first, last;
};

/* Take the first one; the list is not empty. */
static inline struct jrc_call *jrc_ended_shift(struct jrc_calls *calls,
                                               struct jrc_ended *list)
{
    struct jrc_call *call = &calls->slots[list->first];

    list->first = call->next;
    return call;
}

struct jrc_host {
    jsonrpcc_outcome *outcomes; /* by slot; we own their texts */

    /* The leader's: what this turn produced. */
    struct jrc_ended brought;
    int64_t brought_bytes;
    jsonrpcc_deferred publish;

    /* Under the core's lock. */
    int fd;                 /* an eventfd; -1 once abandoned */
    bool rung;              /* it is readable */
    pthread_t thread;       /* the host's */
    unsigned polls;         /* in progress on that thread, nested */
    struct jrc_ended ready; /* for the next poll */
    jsonrpcc_event_fn listener;
    void *listener_arg;
    unsigned tells; /* listener calls in progress, in nested polls */
    uint64_t event_count, told;
    jsonrpcc_event events[JRC_EVENTS];            /* a ring */
    jsonrpcc_deferred *deferred, **deferred_last; /* by its callbacks */
    pthread_cond_t progress;                      /* of a poll */
    atomic_bool abandoned; /* also read without the lock */
};

/* For a core that has its call table.  0 or an errno; either way,
 * jrc_host_free() releases whatever exists by then. */
int jrc_host_new(struct jrc_core *core);

/* The core is no longer in use: drop waiting outcomes. */
void jrc_host_free(struct jrc_core *core);

/* Under the lock: the client was freed, or this is a forked child, so no more
 * callbacks run.  Does nothing if the core has no host. */
void jrc_host_abandon(struct jrc_core *core);

/* Under the lock: whether this is the host's thread, which must not block. */
static inline bool jrc_host_is_here(const struct jrc_core *core)
{
    return core->host != NULL &&
           pthread_equal(core->host->thread, pthread_self());
}

/* Under the lock: whether this thread is inside a callback of a poll. */
static inline bool jrc_host_polls_here(const struct jrc_core *core)
{
    return jrc_host_is_here(core) && core->host->polls > 0;
}

/* Under the lock: there is something to poll for. */
void jrc_host_ring(struct jrc_host *host);

/* Under the lock: whether there are events that the listener has not seen. */
bool jrc_host_has_events(const struct jrc_host *host);

/* The leader's sink for the engine, instead of jrc_turn_outcome(). */
void jrc_host_outcome(void *arg, const struct jrc_call *call,
                      const jsonrpcc_outcome *outcome);

/* Like jrc_listener_set(), for a core with a host. */
void jrc_host_listen(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg);

/* Like jsonrpcc_defer(), from any callback of a core with a host. */
void jrc_host_defer(struct jrc_core *core, jsonrpcc_deferred *deferred);

#endif
