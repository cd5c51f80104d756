/* A call that was submitted with JSONRPCC_CORKED is sent, and its deadline
 * watched, by whatever its caller does next, even if it waits for nothing. */
#include "peer_client.h"

#include <string.h>

/* Milliseconds: later is never, on a busy machine. */
enum { SOON_MS = 1500, SLOW_MS = 4000 };

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- another thread that leads ------------------------------------------- */

struct leader {
    jsonrpcc_client *client;
    bool lazy;
    pthread_t thread;
    jsonrpcc_waiter *waiter;
};

static void *lead(void *arg)
{
    struct leader *leader = arg;

    CHECK(jsonrpcc_wait(leader->waiter, -1) == JSONRPCC_OK);
    return NULL;
}

static void start(struct leader *leader)
{
    leader->waiter = jsonrpcc_waiter_new(leader->client, leader->lazy);
    pthread_create(&leader->thread, NULL, lead, leader);
    for (int i = 0; i < 20; i++)
        nap(); /* whether or not it leads by now: both are tried */
}

static void stop(struct leader *leader)
{
    jsonrpcc_signal(leader->waiter);
    pthread_join(leader->thread, NULL);
    jsonrpcc_waiter_free(leader->waiter);
}

/* ---- what callers do next ------------------------------------------------ */

static void check_soon(const char *what, uint64_t began_ms)
{
    uint64_t took_ms = now_ms() - began_ms;

    if (!CHECK(took_ms < SOON_MS))
        printf("  %s took %llu ms\n", what, (unsigned long long)took_ms);
}

/* Only checks, and sleeps elsewhere. */
static void slice_zero(jsonrpcc_client *client)
{
    static const struct {
        const char *method;
        int32_t timeout_ms;
        jsonrpcc_status status;
    } calls[] = {{"echo", SLOW_MS, JSONRPCC_OK},
                 {"mute", 30, JSONRPCC_ETIMEDOUT}};
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);

    for (size_t i = 0; i < 2; i++) {
        uint64_t began_ms = now_ms();
        const char *text = params();
        jsonrpcc_status status =
            jsonrpcc_sync_call(sync, calls[i].method, 4, text, strlen(text),
                               calls[i].timeout_ms, 0, 0);
        for (int n = 0; status == JSONRPCC_EPENDING && n < SLOW_MS; n++) {
            nap();
            status = jsonrpcc_sync_wait(sync, 0);
        }
        CHECK(status == calls[i].status);
        check_soon(calls[i].method, began_ms);
    }
    /* It checks just once, and it is up to the peer to see the call. */
    const char *text = params();
    uint64_t began_ms = now_ms(), mine = number;
    CHECK(jsonrpcc_sync_call(sync, "mute", 4, text, strlen(text), SLOW_MS, 0,
                             0) == JSONRPCC_EPENDING);
    for (int n = 0; peer_saw(&peer, mine) == 0 && n < SLOW_MS; n++)
        nap();
    check_soon("sending", began_ms);
    jsonrpcc_sync_cancel(sync);
    jsonrpcc_sync_free(sync);
}

static void check_is_sent(jsonrpcc_queue *queue, bool (*next)(jsonrpcc_queue *))
{
    const char *text = params();
    uint64_t began_ms = now_ms(), mine = number;

    CHECK(jsonrpcc_queue_request(queue, 1, "echo", 4, text, strlen(text),
                                 SLOW_MS, JSONRPCC_CORKED) > 0);
    next(queue);
    for (int n = 0; peer_saw(&peer, mine) == 0 && n < SLOW_MS; n++)
        nap();
    check_soon("sending", began_ms);
}

static bool wait_for_nothing(jsonrpcc_queue *queue)
{
    jsonrpcc_completions completions;

    return jsonrpcc_queue_wait(queue, &completions, 0) == JSONRPCC_OK;
}

static void test_with(jsonrpcc_client *client, struct leader *leader)
{
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);

    if (leader != NULL)
        start(leader);
    slice_zero(client);
    check_is_sent(queue, jsonrpcc_queue_poll);
    check_is_sent(queue, wait_for_nothing);
    if (leader != NULL)
        stop(leader);
    jsonrpcc_queue_free(queue);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(300);
    begin_peer();
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();
    CHECK(jsonrpcc_sync_call(sync, "echo", 4, text, strlen(text), 5000,
                             JSONRPCC_WAIT_FOR_READY, -1) == JSONRPCC_OK);
    jsonrpcc_sync_free(sync);
    test_with(client, NULL);
    test_with(client, &(struct leader){.client = client, .lazy = true});
    test_with(client, &(struct leader){.client = client, .lazy = false});
    end_client(client);
    end_peer();
    return check_done();
}
