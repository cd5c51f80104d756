/* A waiter, a sync and a queue serve one thread at a time: a second thread is
 * refused, and breaks nothing. */
#include "peer_client.h"

#include <string.h>

enum { THREADS = 3, ROUNDS = 300, CALLS = 2000 };

struct shared {
    jsonrpcc_client *client;
    jsonrpcc_waiter *waiter;
    jsonrpcc_sync *sync;
    jsonrpcc_queue *queue;
    atomic_bool over;
    atomic_uint good, refused, wrong;
};

static void run_threads(struct shared *shared, void *(*body)(void *),
                        void (*meanwhile)(struct shared *))
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, body, shared);
    meanwhile(shared);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(shared->wrong == 0);
    CHECK(shared->good > 0);
}

static void count(struct shared *shared, jsonrpcc_status status)
{
    if (status == JSONRPCC_EINVAL)
        atomic_fetch_add(&shared->refused, 1);
    else if (status == JSONRPCC_OK)
        atomic_fetch_add(&shared->good, 1);
    else if (status != JSONRPCC_EPENDING)
        atomic_fetch_add(&shared->wrong, 1);
}

/* ---- a waiter ------------------------------------------------------------ */

static void *wait_all_the_time(void *arg)
{
    struct shared *shared = arg;

    while (!shared->over)
        count(shared, jsonrpcc_wait(shared->waiter, 1));
    return NULL;
}

/* Others follow, too: a cycle among the followers would show. */
static void call_and_signal(struct shared *shared)
{
    for (int i = 0; i < ROUNDS; i++) {
        const char *text = params();
        jsonrpcc_status status =
            jsonrpcc_sync_call(shared->sync, "echo", 4, text, strlen(text),
                               5000, JSONRPCC_WAIT_FOR_READY, -1);
        CHECK(status == JSONRPCC_OK);
        jsonrpcc_signal(shared->waiter);
    }
    for (int n = 0; shared->refused == 0 && n < 5000; n++)
        nap();
    CHECK(shared->refused > 0);
    shared->over = true;
}

static void test_a_waiter(jsonrpcc_client *client, bool lazy)
{
    struct shared shared = {.client = client};

    shared.waiter = jsonrpcc_waiter_new(client, lazy);
    shared.sync = jsonrpcc_sync_new(client);
    run_threads(&shared, wait_all_the_time, call_and_signal);
    jsonrpcc_signal(shared.waiter);
    CHECK(jsonrpcc_wait(shared.waiter, 1000) == JSONRPCC_OK);
    jsonrpcc_waiter_free(shared.waiter);
    jsonrpcc_sync_free(shared.sync);
}

/* ---- a sync -------------------------------------------------------------- */

static void *call_all_the_time(void *arg)
{
    struct shared *shared = arg;

    while (!shared->over) {
        jsonrpcc_status status =
            jsonrpcc_sync_call(shared->sync, "echo", 4, "[0]", 3, 5000,
                               JSONRPCC_WAIT_FOR_READY, 1);
        count(shared, status);
        /* The first thread waits for the outcome; the one that made the call
         * may have been refused meanwhile. */
        if (status != JSONRPCC_OK)
            count(shared, jsonrpcc_sync_wait(shared->sync, 100));
    }
    return NULL;
}

static void let_them(struct shared *shared)
{
    for (int n = 0;
         (shared->refused < ROUNDS || shared->good < ROUNDS) && n < 5000; n++)
        nap();
    CHECK(shared->refused >= ROUNDS && shared->good >= ROUNDS);
    shared->over = true;
}

static void test_a_sync(jsonrpcc_client *client)
{
    struct shared shared = {.client = client};

    shared.sync = jsonrpcc_sync_new(client);
    run_threads(&shared, call_all_the_time, let_them);
    jsonrpcc_sync_free(shared.sync);
}

/* ---- a queue ------------------------------------------------------------- */

/* Threads that do not know of each other cannot tell whose outcome they
 * fetched, but nothing may be lost or delivered twice. */
static void *fetch_all_the_time(void *arg)
{
    struct shared *shared = arg;
    jsonrpcc_completions completions;

    while (shared->good < CALLS && !shared->over) {
        jsonrpcc_status status =
            jsonrpcc_queue_wait(shared->queue, &completions, 1);
        if (status == JSONRPCC_OK)
            atomic_fetch_add(
                &shared->good,
                (unsigned)(completions.count + completions.failure_count));
        else
            count(shared, status);
    }
    return NULL;
}

static void submit_all(struct shared *shared)
{
    for (int i = 0; i < CALLS; i++)
        CHECK(jsonrpcc_queue_request(shared->queue, (uint64_t)i, "echo", 4,
                                     "[0]", 3, 5000,
                                     JSONRPCC_WAIT_FOR_READY) > 0);
    for (int n = 0; shared->good < CALLS && n < 10000; n++)
        nap();
    shared->over = true;
}

static void test_a_queue(jsonrpcc_client *client)
{
    struct shared shared = {.client = client};
    jsonrpcc_completions completions;

    shared.queue = jsonrpcc_queue_new(client, 0);
    run_threads(&shared, fetch_all_the_time, submit_all);
    CHECK(shared.good == CALLS);
    CHECK(!jsonrpcc_queue_fetch(shared.queue, &completions));
    jsonrpcc_queue_free(shared.queue);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(300);
    begin_peer();
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    test_a_waiter(client, true);
    test_a_waiter(client, false);
    test_a_sync(client);
    test_a_queue(client);
    end_client(client);
    end_peer();
    return check_done();
}
