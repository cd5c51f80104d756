/* The completion queue, on top of the public API but for bulk: outcomes come
 * from whoever drives the loop and wait for one thread that fetches.
 *
 * Three batches: one that the driver fills during a turn without a lock, one
 * that is ready, and one that the fetcher works through.  They change places
 * under the lock, once a turn and once a fetch, and so there is one wake a
 * turn at most. */

#include "jsonrpcc.h"

#include "batch.h"
#include "bulk.h"
#include "json_scan.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* As in the client: what callbacks may submit beyond the bound. */
enum { RESERVE = 256 };

struct jsonrpcc_queue {
    jsonrpcc_client *client;
    jsonrpcc_waiter *waiter;
    uint32_t flags;
    int fd; /* an eventfd, or -1 */
    uint64_t bound;
    _Atomic uint64_t accepted; /* calls that will have an outcome here */
    _Atomic uint64_t fetched;  /* outcomes handed out */

    /* The driver's. */
    struct jrc_batch *filling;
    jsonrpcc_deferred deferred;
    atomic_bool is_deferred; /* publish() will run, or runs */

    pthread_mutex_t lock;
    struct jrc_batch *ready;
    uint64_t published; /* outcomes that went through the driver's hands */
    bool armed;         /* fd: the fetcher found nothing and polls */
    bool rung;          /* fd: it was written to, and not read since */
    bool freed;
    unsigned room_waiters;
    pthread_cond_t room;

    /* The fetcher's. */
    struct jrc_batch *draining;
    size_t in_hand; /* bytes that it was given last */
    bool is_known;  /* to the event thread, see introduce() */

    struct jrc_batch batches[3]; /* what the three point to */
};

static void destroy(jsonrpcc_queue *queue)
{
    for (int i = 0; i < 3; i++)
        jrc_batch_clear(&queue->batches[i]);
    if (queue->fd >= 0)
        close(queue->fd);
    jsonrpcc_waiter_free(queue->waiter);
    pthread_cond_destroy(&queue->room);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* ---- the driver's side ---- */

static void swap(struct jrc_batch **a, struct jrc_batch **b)
{
    struct jrc_batch *c = *a;

    *a = *b;
    *b = c;
}

/* Under the lock: whether nobody will touch a freed queue any more. */
static bool is_last(const jsonrpcc_queue *queue)
{
    return queue->freed && !atomic_load(&queue->is_deferred) &&
           queue->published == atomic_load(&queue->accepted);
}

/* Under the lock, or a fetch could miss it: a fetcher that polls is told. */
static void ring(jsonrpcc_queue *queue)
{
    if (!queue->armed)
        return;
    queue->armed = false;
    queue->rung = true;
    (void)!write(queue->fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* Under the lock: put what the turn brought where the fetcher finds it. */
static void hand_over(jsonrpcc_queue *queue)
{
    size_t before = jrc_batch_bytes(queue->ready);

    if (jrc_batch_is_empty(queue->ready))
        swap(&queue->ready, &queue->filling);
    else
        jrc_batch_append(queue->ready, queue->filling);
    jsonrpcc_undelivered(queue->client, (int64_t)jrc_batch_bytes(queue->ready) -
                                            (int64_t)before);
    ring(queue);
}

/* At the end of a turn: show the fetcher what it brought.  The fetcher may take
 * it at once and free the queue, which lives until is_deferred is taken back.
 */
static void publish(void *arg)
{
    jsonrpcc_queue *queue = arg;
    size_t outcomes = queue->filling->count + queue->filling->failure_count;

    pthread_mutex_lock(&queue->lock);
    queue->published += outcomes;
    if (queue->freed)
        jrc_batch_reset(queue->filling);
    else
        hand_over(queue);
    pthread_mutex_unlock(&queue->lock);
    if (queue->fd < 0)
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

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    jsonrpcc_queue *queue = arg;

    jrc_batch_add(queue->filling, token, outcome);
    defer_publish(queue);
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    jsonrpcc_queue *queue = arg;

    jrc_batch_add_event(queue->filling, event);
    defer_publish(queue);
}

/* ---- life ---- */

jsonrpcc_queue *jsonrpcc_queue_new(jsonrpcc_client *client, uint32_t flags)
{
    jsonrpcc_queue *queue = calloc(1, sizeof *queue);
    pthread_condattr_t attr;

    if (queue == NULL)
        return NULL;
    queue->client = client;
    queue->flags = flags;
    queue->bound = jsonrpcc_max_in_flight(client);
    queue->fd = -1;
    queue->filling = &queue->batches[0];
    queue->ready = &queue->batches[1];
    queue->draining = &queue->batches[2];
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->room, &attr);
    pthread_condattr_destroy(&attr);
    if ((flags & JSONRPCC_QUEUE_FD) != 0)
        queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    queue->waiter =
        jsonrpcc_waiter_new(client, (flags & JSONRPCC_QUEUE_EAGER) == 0);
    size_t capacity = queue->bound + RESERVE;
    if (queue->waiter == NULL ||
        ((flags & JSONRPCC_QUEUE_FD) != 0 && queue->fd < 0) ||
        !jrc_batch_init(queue->filling, capacity) ||
        !jrc_batch_init(queue->ready, capacity) ||
        !jrc_batch_init(queue->draining, capacity)) {
        destroy(queue);
        return NULL;
    }
    if ((flags & JSONRPCC_QUEUE_EVENTS) != 0)
        jsonrpcc_on_event(client, on_event, queue);
    return queue;
}

void jsonrpcc_queue_free(jsonrpcc_queue *queue)
{
    if (queue == NULL || jsonrpcc_waiter_is_foreign(queue->waiter))
        return;
    if ((queue->flags & JSONRPCC_QUEUE_EVENTS) != 0)
        jsonrpcc_on_event(queue->client, NULL, NULL);
    pthread_mutex_lock(&queue->lock);
    queue->freed = true;
    size_t bytes = jrc_batch_bytes(queue->ready) +
                   jrc_batch_left(queue->draining) + queue->in_hand;
    bool last = is_last(queue);
    /* Under the lock: without it the driver may destroy the queue, and with it
     * the client that a garbage collector has let go of already. */
    jsonrpcc_undelivered(queue->client, -(int64_t)bytes);
    pthread_mutex_unlock(&queue->lock);
    if (last)
        destroy(queue);
}

/* ---- requests ---- */

/* How many of the calls counted last are more than there may be unfetched. */
static uint64_t excess(jsonrpcc_queue *queue, uint64_t accepted, uint32_t flags)
{
    uint64_t unfetched =
        accepted - atomic_load_explicit(&queue->fetched, memory_order_relaxed);
    uint64_t most =
        queue->bound + ((flags & JSONRPCC_RESERVE) != 0 ? RESERVE : 0);

    return unfetched > most ? unfetched - most : 0;
}

/* Count calls before they are submitted: an outcome may be fetched before that
 * has returned; and by adding, not by looking, as the batches have room for
 * that many.  How many may be submitted. */
static size_t claim(jsonrpcc_queue *queue, size_t count, uint32_t flags)
{
    uint64_t over =
        excess(queue, atomic_fetch_add(&queue->accepted, count) + count, flags);

    if (over == 0)
        return count;
    over = over < count ? over : count;
    atomic_fetch_sub(&queue->accepted, over);
    jsonrpcc_refused(queue->client);
    return count - (size_t)over;
}

static bool is_full(jsonrpcc_queue *queue)
{
    return excess(queue, atomic_load(&queue->accepted) + 1, 0) > 0;
}

int64_t jsonrpcc_queue_request(jsonrpcc_queue *queue, uint64_t token,
                               const char *method, size_t method_len,
                               const char *params, size_t params_len,
                               int32_t timeout_ms, uint32_t flags)
{
    bool told = (flags & JSONRPCC_NOTIFICATION) == 0;
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = method_len,
        .params = params,
        .params_len = params_len,
        .timeout_ms = timeout_ms,
        .flags = flags,
        .done = told ? on_done : NULL,
        .arg = queue,
        .token = token,
    };
    uint64_t id;

    if (jsonrpcc_waiter_is_foreign(queue->waiter))
        return -JSONRPCC_ECLOSED;
    if (told && claim(queue, 1, flags) == 0)
        return -JSONRPCC_EFULL;
    jsonrpcc_status status = jsonrpcc_request(queue->client, &call, &id);
    if (status == JSONRPCC_OK)
        return (int64_t)id;
    if (told)
        atomic_fetch_sub(&queue->accepted, 1);
    return -(int64_t)status;
}

/* Submit them; *fault is set where one was refused.  How many were not. */
static size_t submit_some(jsonrpcc_queue *queue, const struct jrc_some *some,
                          jsonrpcc_status *fault)
{
    uint32_t flags = some->calls[0].flags;
    bool told = (flags & JSONRPCC_NOTIFICATION) == 0;
    size_t claimed = told ? claim(queue, some->count, flags) : some->count;
    size_t accepted = jrc_some_submit(some, claimed, queue->client, fault);

    if (told)
        atomic_fetch_sub(&queue->accepted, claimed - accepted);
    if (*fault == JSONRPCC_OK && claimed < some->count)
        *fault = JSONRPCC_EFULL;
    return accepted;
}

int64_t jsonrpcc_queue_request_many(jsonrpcc_queue *queue, uint64_t token,
                                    const char *method, size_t method_len,
                                    const char *params, size_t params_len,
                                    size_t *at, uint32_t count,
                                    int32_t timeout_ms, uint32_t flags)
{
    jsonrpcc_call like = {
        .size = sizeof like,
        .method = method,
        .method_len = method_len,
        .timeout_ms = timeout_ms,
        .flags = flags | JSONRPCC_CORKED,
        .done = (flags & JSONRPCC_NOTIFICATION) == 0 ? on_done : NULL,
        .arg = queue,
        .token = token,
    };
    const char *end = params + params_len;
    const char *p = params + *at;
    size_t accepted = 0, some_accepted = JRC_SOME_CALLS;
    jsonrpcc_status fault = JSONRPCC_OK;
    struct jrc_some some;

    if (jsonrpcc_waiter_is_foreign(queue->waiter))
        return -JSONRPCC_ECLOSED;
    if (*at == 0) {
        p = jrc_json_skip(p, end);
        if (p == end || *p++ != '[')
            return -JSONRPCC_EINVAL;
    }
    while (fault == JSONRPCC_OK && some_accepted == JRC_SOME_CALLS) {
        like.token = token + accepted;
        jrc_some_read(&some, p, end, count - accepted, &like);
        some_accepted = some.count == 0 ? 0 : submit_some(queue, &some, &fault);
        accepted += some_accepted;
        if (some_accepted > 0) {
            p = some.ends[some_accepted - 1];
            *at = (size_t)(p - params);
        }
        if (fault == JSONRPCC_OK)
            fault = some.fault;
    }
    if (accepted > 0 && (flags & JSONRPCC_CORKED) == 0)
        jsonrpcc_flush(queue->client);
    return accepted > 0 ? (int64_t)accepted : -(int64_t)fault;
}

bool jsonrpcc_queue_room(jsonrpcc_queue *queue, int32_t timeout_ms)
{
    struct timespec until;
    int error = 0;

    if (jsonrpcc_waiter_is_foreign(queue->waiter))
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&queue->lock);
    queue->room_waiters++;
    while (is_full(queue) && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&queue->room, &queue->lock, &until);
    queue->room_waiters--;
    pthread_mutex_unlock(&queue->lock);
    return !is_full(queue) && jsonrpcc_room(queue->client, timeout_ms);
}

/* ---- the fetcher's side ---- */

bool jsonrpcc_queue_fetch(jsonrpcc_queue *queue, jsonrpcc_batch *batch)
{
    /* In a forked child the lock may be held for ever, and the rings in fd are
     * the parent's. */
    if (jsonrpcc_waiter_is_foreign(queue->waiter))
        return false;
    if (jrc_batch_is_empty(queue->draining)) {
        jrc_batch_reset(queue->draining);
        pthread_mutex_lock(&queue->lock);
        swap(&queue->draining, &queue->ready);
        queue->armed = queue->fd >= 0 && jrc_batch_is_empty(queue->draining);
        if (queue->armed && queue->rung) {
            uint64_t rings;
            (void)!read(queue->fd, &rings, sizeof rings);
            queue->rung = false;
        }
        pthread_mutex_unlock(&queue->lock);
    }
    /* Who comes for more has done with what it had. */
    if (queue->in_hand > 0)
        jsonrpcc_undelivered(queue->client, -(int64_t)queue->in_hand);
    size_t left = jrc_batch_left(queue->draining);
    bool more = jrc_batch_slice(queue->draining, batch);
    queue->in_hand = left - jrc_batch_left(queue->draining);
    if (!more)
        return false;
    size_t outcomes = batch->count + batch->failure_count;
    atomic_fetch_add_explicit(&queue->fetched, outcomes, memory_order_relaxed);
    /* A waiter that misses this looks again after its slice. */
    pthread_mutex_lock(&queue->lock);
    if (queue->room_waiters > 0)
        pthread_cond_broadcast(&queue->room);
    pthread_mutex_unlock(&queue->lock);
    return true;
}

/* The event thread drives in the place of a dispatcher that is busy, but only
 * until that is back.  Without one it drives for good, and each call wakes it.
 * A dispatcher is known once it has driven or polled, which one that always
 * finds something never has to. */
static void introduce(jsonrpcc_queue *queue)
{
    if (!queue->is_known && (queue->flags & JSONRPCC_QUEUE_EAGER) == 0)
        jsonrpcc_poll(queue->waiter);
    queue->is_known = true;
}

jsonrpcc_status jsonrpcc_queue_wait(jsonrpcc_queue *queue,
                                    jsonrpcc_batch *batch, int32_t timeout_ms)
{
    introduce(queue);
    for (;;) {
        if (jsonrpcc_queue_fetch(queue, batch))
            return JSONRPCC_OK;
        jsonrpcc_status status = jsonrpcc_wait(queue->waiter, timeout_ms);
        if (status == JSONRPCC_ECLOSED && jsonrpcc_queue_fetch(queue, batch))
            return JSONRPCC_OK;
        if (status != JSONRPCC_OK)
            return status;
    }
}

bool jsonrpcc_queue_poll(jsonrpcc_queue *queue)
{
    if (jsonrpcc_waiter_is_foreign(queue->waiter))
        return false;
    /* Who polls fetches: nobody has to ring. */
    pthread_mutex_lock(&queue->lock);
    queue->armed = false;
    pthread_mutex_unlock(&queue->lock);
    return jsonrpcc_poll(queue->waiter);
}

int jsonrpcc_queue_poll_fd(jsonrpcc_queue *queue)
{
    return jsonrpcc_poll_fd(queue->waiter);
}

int jsonrpcc_queue_fd(jsonrpcc_queue *queue)
{
    return queue->fd;
}
