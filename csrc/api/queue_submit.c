/* Calls whose outcomes go into a completion queue, one by one or in bulk, and
 * waiting for room.  On top of the public API, except for bulk. */

#include "api/queue.h"

#include "api/bulk.h"
#include "wire/growth.h"
#include "wire/json_scan.h"

#include <errno.h>
#include <time.h>

/* How many of the calls counted last exceed the limit of unfetched ones. */
static uint64_t excess(jsonrpcc_queue *queue, uint64_t accepted, uint32_t flags)
{
    uint64_t unfetched =
        accepted - atomic_load_explicit(&queue->fetched, memory_order_relaxed);
    uint64_t most = queue->bound +
                    ((flags & JSONRPCC_RESERVE) != 0 ? JRC_QUEUE_RESERVE : 0);

    return unfetched > most ? unfetched - most : 0;
}

/* These calls were counted but not accepted: there is room for others. */
static void discount(jsonrpcc_queue *queue, uint64_t count)
{
    if (count == 0)
        return;
    atomic_fetch_sub(&queue->accepted, count);
    pthread_mutex_lock(&queue->lock);
    if (queue->room_waiters > 0)
        pthread_cond_broadcast(&queue->room);
    pthread_mutex_unlock(&queue->lock);
}

/* Count calls before they are submitted, since an outcome may be fetched before
 * the submission returns.  Add first and check then, since the completions have
 * room for exactly that many.  Returns how many may be submitted. */
static size_t claim(jsonrpcc_queue *queue, size_t count, uint32_t flags)
{
    uint64_t over =
        excess(queue, atomic_fetch_add(&queue->accepted, count) + count, flags);

    if (over == 0)
        return count;
    over = over < count ? over : count;
    discount(queue, over);
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
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = method_len,
        .params = params,
        .params_len = params_len,
        .timeout_ms = timeout_ms,
        .flags = flags,
        .token = token,
    };

    return jsonrpcc_queue_submit(queue, &call);
}

int64_t jsonrpcc_queue_submit(jsonrpcc_queue *queue,
                              const jsonrpcc_call *theirs)
{
    bool told = (theirs->flags & JSONRPCC_NOTIFICATION) == 0;
    jsonrpcc_call call;
    uint64_t id;

    if (jsonrpcc_queue_is_foreign(queue))
        return -JSONRPCC_EFOREIGN;
    if (!jrc_growth_copy(&call, sizeof call, theirs, theirs->size))
        return -JSONRPCC_EINVAL;
    call.size = sizeof call;
    call.flags |= JSONRPCC_ANY_THREAD;
    call.done = told ? jrc_queue_done : NULL;
    call.arg = queue;
    if (told && claim(queue, 1, call.flags) == 0)
        return -JSONRPCC_EFULL;
    jsonrpcc_status status = jsonrpcc_request(queue->client, &call, &id);
    if (status == JSONRPCC_OK)
        return (int64_t)id;
    if (told)
        discount(queue, 1);
    return -(int64_t)status;
}

/* Submit them.  If one is refused, *fault says why.  Returns how many were not
 * submitted. */
static size_t submit_some(jsonrpcc_queue *queue, const struct jrc_some *some,
                          jsonrpcc_status *fault)
{
    uint32_t flags = some->calls[0].flags;
    bool told = (flags & JSONRPCC_NOTIFICATION) == 0;
    size_t claimed = told ? claim(queue, some->count, flags) : some->count;
    size_t accepted = jrc_some_submit(some, claimed, queue->client, fault);

    if (told)
        discount(queue, claimed - accepted);
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
        .params = params,
        .params_len = params_len,
        .timeout_ms = timeout_ms,
        .flags = flags,
        .token = token,
    };

    return jsonrpcc_queue_submit_many(queue, &like, at, count);
}

int64_t jsonrpcc_queue_submit_many(jsonrpcc_queue *queue,
                                   const jsonrpcc_call *theirs, size_t *at,
                                   uint32_t count)
{
    const char *params = theirs->params;
    const char *end = params + theirs->params_len;
    const char *p = params + *at;
    uint64_t token = theirs->token;
    uint32_t flags = theirs->flags;
    jsonrpcc_call like;
    size_t accepted = 0, some_accepted = JRC_SOME_CALLS;
    jsonrpcc_status fault = JSONRPCC_OK;
    struct jrc_some some;

    if (jsonrpcc_queue_is_foreign(queue))
        return -JSONRPCC_EFOREIGN;
    if (!jrc_growth_copy(&like, sizeof like, theirs, theirs->size))
        return -JSONRPCC_EINVAL;
    like.size = sizeof like;
    like.flags |= JSONRPCC_CORKED | JSONRPCC_ANY_THREAD;
    like.done = (flags & JSONRPCC_NOTIFICATION) == 0 ? jrc_queue_done : NULL;
    like.arg = queue;
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

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool jsonrpcc_queue_room(jsonrpcc_queue *queue, int32_t timeout_ms)
{
    uint64_t until_ms = now_ms() + (uint64_t)timeout_ms;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int error = 0;

    if (jsonrpcc_queue_is_foreign(queue))
        return true;
    pthread_mutex_lock(&queue->lock);
    queue->room_waiters++;
    while (is_full(queue) && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&queue->room, &queue->lock, &until);
    queue->room_waiters--;
    pthread_mutex_unlock(&queue->lock);
    /* Do not check again: other threads count calls that will be refused. */
    if (error == ETIMEDOUT)
        return false;
    uint64_t now = now_ms();
    return jsonrpcc_room(queue->client,
                         now < until_ms ? (int32_t)(until_ms - now) : 0);
}
