/* The completion queue, on top of the public API: outcomes come from the thread
 * that drives the loop, and wait for the one that fetches them.
 *
 * There are three completions: the driver fills one during a turn, without a
 * lock; one is ready; and the fetcher works through the third.  They change
 * places under the lock, once a turn and once a fetch, so there is at most one
 * wake-up per turn. */

#include "api/queue.h"

#include "wire/pages.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define KNOWN_FLAGS                                         \
    ((uint32_t)(JSONRPCC_QUEUE_FD | JSONRPCC_QUEUE_EVENTS | \
                JSONRPCC_QUEUE_EAGER))

static void destroy(jsonrpcc_queue *queue)
{
    for (int i = 0; i < 3; i++)
        jrc_completions_clear(&queue->completions[i]);
    if (queue->fd >= 0)
        close(queue->fd);
    jsonrpcc_waiter_free(queue->waiter);
    pthread_cond_destroy(&queue->room);
    pthread_mutex_destroy(&queue->lock);
    jrc_pages_free(queue, 1, sizeof *queue);
}

/* ---- the driver's side ---- */

static void swap(struct jrc_completions **a, struct jrc_completions **b)
{
    struct jrc_completions *c = *a;

    *a = *b;
    *b = c;
}

/* Under the lock: whether nothing uses a freed queue any more. */
static bool is_last(const jsonrpcc_queue *queue)
{
    return queue->freed && !atomic_load(&queue->is_deferred) &&
           queue->published == atomic_load(&queue->accepted);
}

/* Under the lock, or a fetch could miss it: notify a fetcher that polls. */
static void ring(jsonrpcc_queue *queue)
{
    if (!queue->armed)
        return;
    queue->armed = false;
    queue->rung = true;
    (void)!write(queue->fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* Under the lock: put what the turn produced where the fetcher finds it. */
static void hand_over(jsonrpcc_queue *queue)
{
    size_t before = jrc_completions_bytes(queue->ready);

    if (jrc_completions_is_empty(queue->ready))
        swap(&queue->ready, &queue->filling);
    else
        jrc_completions_append(queue->ready, queue->filling);
    jsonrpcc_undelivered(queue->client,
                         (int64_t)jrc_completions_bytes(queue->ready) -
                             (int64_t)before);
    ring(queue);
}

/* At the end of a turn: show the fetcher what it produced.  The fetcher may
 * take that at once and free the queue, which lives until is_deferred is
 * reset. */
static void publish(void *arg)
{
    jsonrpcc_queue *queue = arg;
    size_t outcomes = queue->filling->count + queue->filling->failure_count;

    pthread_mutex_lock(&queue->lock);
    queue->published += outcomes;
    if (queue->freed)
        jrc_completions_reset(queue->filling);
    else
        hand_over(queue);
    bool signals = queue->is_waited_on;
    pthread_mutex_unlock(&queue->lock);
    if (signals)
        jsonrpcc_signal(queue->waiter);
    pthread_mutex_lock(&queue->lock);
    atomic_store(&queue->is_deferred, false);
    bool last = is_last(queue);
    pthread_mutex_unlock(&queue->lock);
    if (last)
        destroy(queue);
}

static void defer_publish(jsonrpcc_queue *queue)
{
    if (atomic_exchange(&queue->is_deferred, true))
        return;
    queue->deferred.fn = publish;
    queue->deferred.arg = queue;
    jsonrpcc_defer(queue->client, &queue->deferred);
}

void jrc_queue_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    jsonrpcc_queue *queue = arg;

    jrc_completions_add(queue->filling, token, outcome);
    defer_publish(queue);
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    jsonrpcc_queue *queue = arg;

    jrc_completions_add_event(queue->filling, event);
    defer_publish(queue);
}

/* ---- life ---- */

/* 0 or an errno; destroy() removes whatever exists by then. */
static int fill_in(jsonrpcc_queue *queue)
{
    size_t capacity = (size_t)queue->bound + JRC_QUEUE_RESERVE;

    if ((queue->flags & JSONRPCC_QUEUE_FD) != 0) {
        queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (queue->fd < 0)
            return errno;
        queue->armed = true;
    }
    queue->waiter = jsonrpcc_waiter_new(
        queue->client, (queue->flags & JSONRPCC_QUEUE_EAGER) == 0);
    if (queue->waiter == NULL)
        return errno;
    return jrc_completions_init(queue->filling, capacity) &&
                   jrc_completions_init(queue->ready, capacity) &&
                   jrc_completions_init(queue->draining, capacity)
               ? 0
               : ENOMEM;
}

jsonrpcc_queue *jsonrpcc_queue_new(jsonrpcc_client *client, uint32_t flags)
{
    jsonrpcc_queue *queue = jrc_pages_new(1, sizeof *queue);
    pthread_condattr_t attr;

    if (queue == NULL)
        return NULL;
    /* A host gets its events through its listener, when it polls. */
    if ((flags & ~KNOWN_FLAGS) != 0 || ((flags & JSONRPCC_QUEUE_EVENTS) != 0 &&
                                        jsonrpcc_host_fd(client) >= 0)) {
        jrc_pages_free(queue, 1, sizeof *queue);
        errno = EINVAL;
        return NULL;
    }
    queue->client = client;
    queue->flags = flags;
    queue->bound = jsonrpcc_max_in_flight(client);
    queue->fd = -1;
    atomic_flag_clear(&queue->used);
    queue->filling = &queue->completions[0];
    queue->ready = &queue->completions[1];
    queue->draining = &queue->completions[2];
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->room, &attr);
    pthread_condattr_destroy(&attr);
    int error = fill_in(queue);
    if (error != 0) {
        destroy(queue);
        errno = error;
        return NULL;
    }
    return queue;
}

void jsonrpcc_queue_free(jsonrpcc_queue *queue)
{
    if (queue == NULL)
        return;
    if (jsonrpcc_queue_is_foreign(queue)) {
        if (queue->fd >= 0)
            close(queue->fd); /* our copy; the fork left the rest as it was */
        return;
    }
    if (queue->listens)
        jsonrpcc_on_event(queue->client, NULL, NULL);
    pthread_mutex_lock(&queue->lock);
    queue->freed = true;
    size_t bytes = jrc_completions_bytes(queue->ready) +
                   jrc_completions_left(queue->draining) + queue->in_hand;
    bool last = is_last(queue);
    /* Under the lock, or else the driver might destroy the queue, and with it
     * the client, which a garbage collector may already have released. */
    jsonrpcc_undelivered(queue->client, -(int64_t)bytes);
    pthread_mutex_unlock(&queue->lock);
    if (last)
        destroy(queue);
}

/* ---- the fetcher's side ---- */

/* Only now: of several queues, the one that is fetched from gets the events. */
static void listen_to_events(jsonrpcc_queue *queue)
{
    if (queue->listens || (queue->flags & JSONRPCC_QUEUE_EVENTS) == 0)
        return;
    queue->listens = true;
    jsonrpcc_on_event(queue->client, on_event, queue);
}

static bool fetch(jsonrpcc_queue *queue, jsonrpcc_completions *completions)
{
    listen_to_events(queue);
    if (jrc_completions_is_empty(queue->draining)) {
        jrc_completions_reset(queue->draining);
        pthread_mutex_lock(&queue->lock);
        swap(&queue->draining, &queue->ready);
        queue->armed =
            queue->fd >= 0 && jrc_completions_is_empty(queue->draining);
        if (queue->armed && queue->rung) {
            uint64_t rings;
            (void)!read(queue->fd, &rings, sizeof rings);
            queue->rung = false;
        }
        pthread_mutex_unlock(&queue->lock);
    }
    /* A fetcher that comes for more has processed what it had. */
    if (queue->in_hand > 0)
        jsonrpcc_undelivered(queue->client, -(int64_t)queue->in_hand);
    size_t left = jrc_completions_left(queue->draining);
    bool more = jrc_completions_slice(queue->draining, completions);
    queue->in_hand = left - jrc_completions_left(queue->draining);
    if (!more)
        return false;
    size_t outcomes = completions->count + completions->failure_count;
    atomic_fetch_add_explicit(&queue->fetched, outcomes, memory_order_relaxed);
    /* A waiter that misses this checks again after its slice. */
    pthread_mutex_lock(&queue->lock);
    if (queue->room_waiters > 0)
        pthread_cond_broadcast(&queue->room);
    pthread_mutex_unlock(&queue->lock);
    return true;
}

static bool enter(jsonrpcc_queue *queue)
{
    return !atomic_flag_test_and_set_explicit(&queue->used,
                                              memory_order_acquire);
}

static void leave(jsonrpcc_queue *queue)
{
    atomic_flag_clear_explicit(&queue->used, memory_order_release);
}

bool jsonrpcc_queue_fetch(jsonrpcc_queue *queue,
                          jsonrpcc_completions *completions)
{
    /* In a forked child, the lock may be held forever, and what was written to
     * fd is the parent's. */
    if (jsonrpcc_queue_is_foreign(queue) || !enter(queue))
        return false;
    bool more = fetch(queue, completions);
    leave(queue);
    return more;
}

/* Introduce this thread as the dispatcher.  While a known dispatcher is busy,
 * the event thread drives only until it is back; without one, the event thread
 * drives for good, and each call has to wake it.  A dispatcher becomes known by
 * driving or polling, and if it always finds something to fetch, it never does
 * either. */
static void introduce(jsonrpcc_queue *queue)
{
    if (!queue->is_known && (queue->flags & JSONRPCC_QUEUE_EAGER) == 0)
        jsonrpcc_poll(queue->waiter);
    queue->is_known = true;
}

/* Only a queue that is waited on has its waiter signalled, from then on: most
 * with a descriptor never are. */
static void expect_signals(jsonrpcc_queue *queue)
{
    if (queue->is_waited_on)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->is_waited_on = true;
    pthread_mutex_unlock(&queue->lock);
}

static jsonrpcc_status fetch_or_wait(jsonrpcc_queue *queue,
                                     jsonrpcc_completions *completions,
                                     int32_t timeout_ms)
{
    introduce(queue);
    if (jsonrpcc_queue_is_foreign(queue)) /* or became so just now: a
                                             callback forked */
        return JSONRPCC_EFOREIGN;
    expect_signals(queue);
    while (!fetch(queue, completions)) {
        /* Whatever comes after the fetch is signalled before the client is
         * closed: there is nothing to fetch after ECLOSED. */
        jsonrpcc_status status = jsonrpcc_wait(queue->waiter, timeout_ms);
        if (status != JSONRPCC_OK)
            return status;
    }
    return JSONRPCC_OK;
}

jsonrpcc_status jsonrpcc_queue_wait(jsonrpcc_queue *queue,
                                    jsonrpcc_completions *completions,
                                    int32_t timeout_ms)
{
    if (!enter(queue))
        return jsonrpcc_queue_is_foreign(queue) ? JSONRPCC_EFOREIGN
                                                : JSONRPCC_EINVAL;
    jsonrpcc_status status = fetch_or_wait(queue, completions, timeout_ms);
    leave(queue);
    return status;
}

bool jsonrpcc_queue_poll(jsonrpcc_queue *queue)
{
    if (jsonrpcc_queue_is_foreign(queue))
        return false;
    /* What this poll brings can be fetched afterwards, so it need not ring. */
    pthread_mutex_lock(&queue->lock);
    bool armed = queue->armed;
    queue->armed = false;
    pthread_mutex_unlock(&queue->lock);
    bool led = jsonrpcc_poll(queue->waiter);
    if (!armed || jsonrpcc_queue_is_foreign(queue))
        return led;
    /* What comes later has to, and so does what another leader brought. */
    pthread_mutex_lock(&queue->lock);
    bool empty = jrc_completions_is_empty(queue->ready);
    queue->armed = empty || !led;
    if (!empty)
        ring(queue);
    pthread_mutex_unlock(&queue->lock);
    return led;
}

int jsonrpcc_queue_poll_fd(jsonrpcc_queue *queue)
{
    return jsonrpcc_poll_fd(queue->waiter);
}

int jsonrpcc_queue_fd(jsonrpcc_queue *queue)
{
    return queue->fd;
}

jsonrpcc_status jsonrpcc_queue_join(jsonrpcc_queue *queue, jsonrpcc_crew *crew,
                                    uint64_t token)
{
    if (jsonrpcc_queue_is_foreign(queue))
        return JSONRPCC_EFOREIGN;
    expect_signals(queue);
    return jsonrpcc_waiter_join(queue->waiter, crew, token);
}

bool jsonrpcc_queue_is_foreign(const jsonrpcc_queue *queue)
{
    return jsonrpcc_waiter_is_foreign(queue->waiter);
}
