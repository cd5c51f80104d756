/* The event listener of a client with a host: it is replaced while it runs, and
 * it forks; and a close() on another thread waits for as long as it takes. */
#include "peer_client.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

enum { LATE_MS = 20000 };

static atomic_bool inside, leave;
static atomic_uint heard, late;
static bool forks, is_child;
static pid_t child;

static jsonrpcc_client *new_hosted(void)
{
    return new_client((jsonrpcc_options){.flags = JSONRPCC_HOST_CALLBACKS});
}

static void poll_until(jsonrpcc_client *client, const atomic_uint *count)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};

    for (int n = 0; n < LATE_MS / 100 && *count == 0 && !is_child; n++)
        if (poll(&fd, 1, 100) == 1)
            jsonrpcc_host_poll(client);
    CHECK(*count > 0);
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    atomic_bool *removed = arg;

    CHECK(event->kind == JSONRPCC_CONNECTED);
    late += *removed;
    inside = true;
    for (int n = 0; n < LATE_MS && !leave; n++)
        nap();
    for (int n = 0; n < 20; n++)
        nap(); /* the other thread is in jsonrpcc_on_event() by now */
    late += *removed;
    heard++;
    if (forks && (child = fork()) == 0)
        is_child = true;
}

static atomic_bool removed;

static void *stop_listening(void *client)
{
    for (int n = 0; n < LATE_MS && !inside; n++)
        nap();
    leave = true;
    jsonrpcc_on_event(client, NULL, NULL);
    removed = true;
    return NULL;
}

/* Its argument may be freed when jsonrpcc_on_event() returns. */
static void test_a_listener_that_runs_is_waited_for(void)
{
    jsonrpcc_client *client = new_hosted();
    pthread_t thread;

    jsonrpcc_on_event(client, on_event, &removed);
    if (pthread_create(&thread, NULL, stop_listening, client) != 0)
        abort();
    poll_until(client, &heard);
    pthread_join(thread, NULL);
    CHECK(heard == 1 && late == 0);
    end_client(client);
}

static atomic_uint told;

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    CHECK(outcome->status == JSONRPCC_ECLOSED);
    told++;
}

static void *close_elsewhere(void *client)
{
    CHECK(jsonrpcc_client_close(client, -1));
    CHECK(told == 1);
    return NULL;
}

static void test_a_close_elsewhere_without_a_limit(void)
{
    jsonrpcc_client *client = new_hosted();
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "mute",
        .method_len = 4,
        .timeout_ms = 60000,
        .done = on_done,
    };
    jsonrpcc_stats stats = {0};
    pthread_t thread;

    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    if (pthread_create(&thread, NULL, close_elsewhere, client) != 0)
        abort();
    for (int n = 0; n < LATE_MS && stats.closed == 0; n++, nap())
        jsonrpcc_client_stats(client, &stats, sizeof stats);
    for (int n = 0; n < 50; n++)
        nap(); /* for the close to wait for this thread */
    CHECK(told == 0);
    poll_until(client, &told);
    pthread_join(thread, NULL);
    jsonrpcc_client_free(client);
}

/* The child returns from the poll, and gets no events of its parent's. */
static void test_a_listener_forks(void)
{
    int status = -1;

    if (!check_may_fork())
        return;
    jsonrpcc_client *client = new_hosted();
    removed = false;
    leave = forks = true;
    heard = 0;
    jsonrpcc_on_event(client, on_event, &removed);
    poll_until(client, &heard);
    if (is_child)
        check_exit(heard != 1 || jsonrpcc_host_poll(client));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    forks = false;
    end_client(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin_peer();
    test_a_listener_that_runs_is_waited_for();
    test_a_close_elsewhere_without_a_limit();
    test_a_listener_forks();
    end_peer();
    return check_done();
}
