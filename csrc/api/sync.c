/* Blocking calls, on top of the public API: a waiter, and a place for the
 * outcome. */

#include "jsonrpcc.h"
#include "wire/growth.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A larger result buffer is not kept for the next call. */
#define IDLE_ROOM 65536

struct jsonrpcc_sync {
    jsonrpcc_client *client;
    jsonrpcc_waiter *waiter;
    atomic_uint refs; /* the owner's, and one for a call in flight */
    atomic_flag used; /* a thread is in a call, or waits for one */
    bool pending;     /* as the owner sees it */
    uint64_t id;
    bool has_outcome;
    jsonrpcc_outcome outcome;
    char *text; /* of the outcome's json */
    jsonrpcc_deferred deferred;
    size_t room;
};

static void unref(jsonrpcc_sync *sync)
{
    if (atomic_fetch_sub(&sync->refs, 1) != 1)
        return;
    jsonrpcc_waiter_free(sync->waiter);
    free(sync->text);
    free(sync);
}

jsonrpcc_sync *jsonrpcc_sync_new(jsonrpcc_client *client)
{
    jsonrpcc_sync *sync = calloc(1, sizeof *sync);

    if (sync == NULL)
        return NULL;
    sync->client = client;
    atomic_init(&sync->refs, 1);
    atomic_flag_clear(&sync->used);
    sync->waiter = jsonrpcc_waiter_new(client, false);
    if (sync->waiter == NULL) {
        int error = errno;
        free(sync);
        errno = error;
        return NULL;
    }
    return sync;
}

void jsonrpcc_sync_free(jsonrpcc_sync *sync)
{
    if (sync == NULL || jsonrpcc_waiter_is_foreign(sync->waiter))
        return;
    jsonrpcc_sync_cancel(sync);
    unref(sync);
}

/* At the end of the turn, when the call's slot is free again. */
static void finish(void *arg)
{
    jsonrpcc_sync *sync = arg;

    jsonrpcc_signal(sync->waiter);
    unref(sync);
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    jsonrpcc_sync *sync = arg;

    (void)token;
    sync->outcome = *outcome;
    sync->outcome.json = NULL;
    if (outcome->json_len > sync->room || sync->room > IDLE_ROOM) {
        free(sync->text);
        sync->text = malloc(outcome->json_len + 1);
        sync->room = sync->text != NULL ? outcome->json_len + 1 : 0;
    }
    if (outcome->json != NULL && outcome->json_len <= sync->room) {
        memcpy(sync->text, outcome->json, outcome->json_len);
        sync->outcome.json = sync->text;
    } else if (outcome->json != NULL) {
        sync->outcome.status = JSONRPCC_ENOMEM;
        sync->outcome.json_len = 0;
    }
    sync->deferred.fn = finish;
    sync->deferred.arg = sync;
    jsonrpcc_defer(sync->client, &sync->deferred);
}

static jsonrpcc_status await(jsonrpcc_sync *sync, int32_t slice_ms)
{
    if (!sync->pending)
        return JSONRPCC_EINVAL;
    jsonrpcc_status status = jsonrpcc_wait(sync->waiter, slice_ms);
    if (status != JSONRPCC_OK)
        return status;
    sync->pending = false;
    sync->has_outcome = true;
    return sync->outcome.status;
}

static jsonrpcc_status call_and_await(jsonrpcc_sync *sync, jsonrpcc_call *call,
                                      int32_t slice_ms)
{
    call->size = sizeof *call;
    call->done = on_done;
    call->arg = sync;
    /* Waiting makes sure that a thread leads. */
    call->flags = (call->flags & ~(uint32_t)JSONRPCC_NOTIFICATION) |
                  JSONRPCC_CORKED | JSONRPCC_ANY_THREAD;
    sync->has_outcome = false;
    if (sync->pending)
        return JSONRPCC_EINVAL;
    if (jsonrpcc_in_callback(sync->client))
        return JSONRPCC_EDEADLK;
    atomic_fetch_add(&sync->refs, 1);
    jsonrpcc_status status = jsonrpcc_request(sync->client, call, &sync->id);
    if (status != JSONRPCC_OK) {
        atomic_fetch_sub(&sync->refs, 1);
        return status;
    }
    sync->pending = true;
    return await(sync, slice_ms);
}

jsonrpcc_status jsonrpcc_sync_call(jsonrpcc_sync *sync, const char *method,
                                   size_t method_len, const char *params,
                                   size_t params_len, int32_t timeout_ms,
                                   uint32_t flags, int32_t slice_ms)
{
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = method_len,
        .params = params,
        .params_len = params_len,
        .timeout_ms = timeout_ms,
        .flags = flags,
    };

    return jsonrpcc_sync_submit(sync, &call, slice_ms);
}

jsonrpcc_status jsonrpcc_sync_submit(jsonrpcc_sync *sync,
                                     const jsonrpcc_call *theirs,
                                     int32_t slice_ms)
{
    jsonrpcc_call call;

    if (jsonrpcc_waiter_is_foreign(sync->waiter)) {
        sync->has_outcome = false; /* this call's outcome, not the last one's */
        return JSONRPCC_EFOREIGN;
    }
    if (atomic_flag_test_and_set_explicit(&sync->used, memory_order_acquire))
        return JSONRPCC_EINVAL;
    jsonrpcc_status status =
        jrc_growth_copy(&call, sizeof call, theirs, theirs->size)
            ? call_and_await(sync, &call, slice_ms)
            : JSONRPCC_EINVAL;
    atomic_flag_clear_explicit(&sync->used, memory_order_release);
    return status;
}

jsonrpcc_status jsonrpcc_sync_wait(jsonrpcc_sync *sync, int32_t slice_ms)
{
    if (jsonrpcc_waiter_is_foreign(sync->waiter))
        return JSONRPCC_EFOREIGN;
    if (atomic_flag_test_and_set_explicit(&sync->used, memory_order_acquire))
        return JSONRPCC_EINVAL;
    jsonrpcc_status status = await(sync, slice_ms);
    atomic_flag_clear_explicit(&sync->used, memory_order_release);
    return status;
}

void jsonrpcc_sync_cancel(jsonrpcc_sync *sync)
{
    if (sync->pending)
        jsonrpcc_cancel(sync->client, sync->id);
}

const jsonrpcc_outcome *jsonrpcc_sync_outcome(jsonrpcc_sync *sync)
{
    return sync->has_outcome ? &sync->outcome : NULL;
}
