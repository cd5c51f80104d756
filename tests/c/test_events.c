/* Events and their listener: whatever ends the client, each event is reported,
 * and none to a listener that was removed. */
#include "check.h"
#include "jsonrpcc.h"
#include "peer_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

enum { ROUNDS = 300 };

struct listener {
    jsonrpcc_client *client;
    atomic_uint heard, late;
    atomic_bool removed;
    bool removes_itself, frees, closes, forks, is_slow;
    unsigned heard_at_fork; /* in a child */
};

static void on_event(void *arg, const jsonrpcc_event *event)
{
    struct listener *listener = arg;

    /* The server may end its only connection before the client does. */
    CHECK(event->kind == JSONRPCC_CONNECTED || event->kind == JSONRPCC_LOST ||
          event->kind == JSONRPCC_ALL_DOWN);
    listener->late += listener->removed;
    listener->heard++;
    for (int n = 0; listener->is_slow && n < 20; n++)
        nap();
    if (listener->removes_itself) {
        jsonrpcc_on_event(listener->client, NULL, NULL);
        listener->removed = true;
    }
    if (listener->closes) /* which does not wait here */
        jsonrpcc_client_close(listener->client, -1);
    if (listener->frees)
        jsonrpcc_client_free(listener->client);
    if (listener->forks) {
        int status = 1;
        pid_t child = fork();
        if (child != 0)
            CHECK(waitpid(child, &status, 0) == child && status == 0);
        listener->forks = child != 0;
        listener->heard_at_fork = listener->heard;
    }
}

static uint64_t emitted(jsonrpcc_client *client)
{
    jsonrpcc_stats stats;
    uint64_t sum = 0;

    jsonrpcc_client_stats(client, &stats, sizeof stats);
    for (int kind = 0; kind < JSONRPCC_EVENT_KINDS; kind++)
        sum += stats.events[kind];
    return sum;
}

static void call_echo(jsonrpcc_client *client)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();

    CHECK(sync != NULL);
    jsonrpcc_status status =
        jsonrpcc_sync_call(sync, "echo", 4, text, strlen(text), 5000, 0, 5000);
    CHECK(status == JSONRPCC_OK);
    jsonrpcc_sync_free(sync);
}

/* The close comes at a different moment in each round. */
static void pause_for(int round)
{
    nanosleep(&(struct timespec){.tv_nsec = round % 10 * 20000}, NULL);
}

static void test_all_events_are_reported_before_close_returns(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        jsonrpcc_client *client = new_client((jsonrpcc_options){0});
        struct listener listener = {.client = client};
        if (round % 3 == 0)
            call_echo(client);
        jsonrpcc_on_event(client, on_event, &listener);
        if (round % 3 == 1)
            call_echo(client);
        pause_for(round);
        CHECK(jsonrpcc_client_close(client, -1));
        CHECK(listener.heard == emitted(client));
        CHECK(listener.heard > 0 || round % 3 == 2);
        jsonrpcc_client_free(client);
    }
}

static void test_all_events_are_reported_after_a_free(void)
{
    static struct listener listeners[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        jsonrpcc_client *client = new_client((jsonrpcc_options){0});
        call_echo(client);
        jsonrpcc_on_event(client, on_event, &listeners[round]);
        jsonrpcc_client_free(client);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int n = 0; n < 5000 && listeners[round].heard == 0; n++)
            nap();
        CHECK(listeners[round].heard == 1);
    }
}

static void *listen_late(void *arg)
{
    struct listener *listeners = arg;
    jsonrpcc_client *client = listeners[0].client;

    jsonrpcc_on_event(client, on_event, &listeners[0]);
    jsonrpcc_on_event(client, on_event, &listeners[1]);
    listeners[0].removed = true;
    return NULL;
}

static void test_a_listener_that_comes_during_the_close(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        jsonrpcc_client *client = new_client((jsonrpcc_options){0});
        struct listener listeners[2] = {{.client = client}};
        pthread_t thread;
        call_echo(client);
        if (pthread_create(&thread, NULL, listen_late, listeners) != 0)
            abort();
        pause_for(round);
        CHECK(jsonrpcc_client_close(client, -1));
        pthread_join(thread, NULL);
        CHECK(listeners[1].heard == emitted(client));
        CHECK(listeners[0].late == 0);
        jsonrpcc_client_free(client);
    }
}

static void test_a_queue_that_is_fetched_from_after_the_close(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_EVENTS);
    jsonrpcc_completions completions;

    call_echo(client);
    CHECK(jsonrpcc_client_close(client, -1));
    CHECK(jsonrpcc_queue_wait(queue, &completions, -1) == JSONRPCC_OK);
    CHECK(completions.event_count == emitted(client));
    CHECK(jsonrpcc_queue_wait(queue, &completions, -1) == JSONRPCC_ECLOSED);
    jsonrpcc_queue_free(queue);
    jsonrpcc_client_free(client);
}

/* Three events: connected, lost, connected. */
static jsonrpcc_client *closed_client(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){.reconnect_ms = 1});
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();

    jsonrpcc_sync_call(sync, "drop", 4, text, strlen(text), 5000, 0, 5000);
    jsonrpcc_sync_free(sync);
    for (int n = 0; n < 5000 && emitted(client) < 3; n++)
        nap();
    CHECK(jsonrpcc_client_close(client, -1));
    return client;
}

static void test_what_a_listener_may_do(void)
{
    jsonrpcc_client *client = closed_client();
    struct listener once = {.client = client, .removes_itself = true};
    struct listener closes = {.client = client, .closes = true};
    struct listener frees = {.client = client, .frees = true};

    CHECK(emitted(client) >= 3);
    jsonrpcc_on_event(client, on_event, &once);
    CHECK(once.heard == 1 && once.late == 0);
    jsonrpcc_on_event(client, on_event, &closes);
    CHECK(closes.heard == emitted(client));
    frees.removes_itself = true;
    jsonrpcc_on_event(client, on_event, &frees);
    CHECK(frees.heard == 1 && frees.late == 0);
}

static void *listen(void *arg)
{
    struct listener *listener = arg;

    jsonrpcc_on_event(listener->client, on_event, listener);
    return NULL;
}

/* Each has got all events when it returns, whichever thread reported them. */
static void test_a_listener_beside_one_that_is_running(void)
{
    jsonrpcc_client *client = closed_client();
    struct listener first = {.client = client, .is_slow = true};
    struct listener second = {.client = client};
    pthread_t thread;

    if (pthread_create(&thread, NULL, listen, &first) != 0)
        abort();
    for (int n = 0; n < 5000 && first.heard == 0; n++)
        nap();
    jsonrpcc_on_event(client, on_event, &second);
    first.removed = true;
    CHECK(second.heard == emitted(client));
    pthread_join(thread, NULL);
    CHECK(first.heard == 1 && first.late == 0);
    jsonrpcc_client_free(client);
}

static void test_a_listener_that_forks(void)
{
    if (!check_may_fork())
        return;
    jsonrpcc_client *client = closed_client();
    struct listener forks = {.client = client, .forks = true};
    pid_t parent = getpid();

    jsonrpcc_on_event(client, on_event, &forks);
    if (getpid() != parent) /* the others are for the parent */
        check_exit(forks.heard != forks.heard_at_fork);
    CHECK(forks.heard == emitted(client));
    jsonrpcc_client_free(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin_peer();
    test_all_events_are_reported_before_close_returns();
    test_all_events_are_reported_after_a_free();
    test_a_listener_that_comes_during_the_close();
    test_a_queue_that_is_fetched_from_after_the_close();
    test_what_a_listener_may_do();
    test_a_listener_beside_one_that_is_running();
    test_a_listener_that_forks();
    end_peer();
    return check_done();
}
