/* Callbacks that fork and return in the child: nothing of the parent's turn
 * continues there, whichever thread led it, and the child uses its clients like
 * any other process.
 *
 * Argument: how many rounds (10). */
#include "check.h"
#include "jsonrpcc.h"
#include "peer_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { BATCH = 20, CODE = 42, PATIENCE = 20000 };

static jsonrpcc_client *client;
static atomic_bool stop;
static atomic_uint fork_at, told; /* callbacks so far, and which one forks */
static atomic_uint done_calls;
static _Atomic pid_t child = -1;
static bool is_child;
static unsigned told_in_child;

static jsonrpcc_deferred never;

static void on_never(void *arg)
{
    (void)arg;
    told_in_child++;
}

static void tell(void)
{
    if (is_child) {
        told_in_child++;
        return;
    }
    if (++told != fork_at)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        is_child = true;
        told_in_child = 1;
        never.fn = on_never;
        jsonrpcc_defer(client, &never); /* the child's turn ends here */
    } else {
        child = pid;
    }
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    (void)outcome;
    tell();
    done_calls++;
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    (void)arg;
    (void)event;
    tell();
}

static jsonrpcc_deferred deferred;

static void on_deferred(void *arg)
{
    (void)arg;
    tell();
}

static void on_done_defer(void *arg, uint64_t token,
                          const jsonrpcc_outcome *outcome)
{
    (void)outcome;
    (void)arg;
    if (is_child)
        told_in_child++;
    if (token == 1) {
        deferred.fn = on_deferred;
        jsonrpcc_defer(client, &deferred);
    }
    done_calls++;
}

/* The other threads of the parent: without load, a fork proves nothing. */
static void *submit(void *arg)
{
    uint64_t n = 0;

    (void)arg;
    while (!stop) {
        jsonrpcc_call call = {
            .size = sizeof call,
            .method = "echo",
            .method_len = 4,
            .params = "[0]",
            .params_len = 3,
        };
        jsonrpcc_request(client, &call, NULL);
        if (++n % 50 == 0)
            nap();
    }
    return NULL;
}

static void submit_batch(jsonrpcc_done_fn done)
{
    for (uint64_t i = 1; i <= BATCH; i++) {
        jsonrpcc_call call = {
            .size = sizeof call,
            .method = "echo",
            .method_len = 4,
            .params = "[1]",
            .params_len = 3,
            .done = done,
            .token = i,
            .flags = JSONRPCC_CORKED,
        };
        CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    }
}

static jsonrpcc_status call(void)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_status status =
        jsonrpcc_sync_call(sync, "echo", 4, "[2]", 3, 0, 0, -1);

    jsonrpcc_sync_free(sync);
    return status;
}

/* In the child, back from the function that led. */
_Noreturn static void end_child(bool status_told)
{
    /* Its descriptors get the numbers of the closed ones: nothing left of the
     * stale core may write there. */
    int fd = open("/dev/null", O_RDWR);
    CHECK(status_told && told_in_child == 1 && fd >= 0);
    CHECK(call() == JSONRPCC_OK);
    CHECK(call() == JSONRPCC_OK);
    CHECK(jsonrpcc_client_close(client, 5000));
    fflush(stdout);
    check_exit(check_failures == 0 ? CODE : CODE + 1);
}

static void await_child(void)
{
    int status = 0;
    pid_t ended = 0;

    for (int n = 0; n < PATIENCE && child < 0; n++)
        nap();
    for (int n = 0; n < PATIENCE && child > 0 && ended == 0; n++) {
        ended = waitpid(child, &status, WNOHANG);
        nap();
    }
    if (!CHECK(ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CODE))
        printf("child %d: %d\n", (int)child, status);
    for (int n = 0; n < PATIENCE && done_calls < BATCH; n++)
        nap();
    CHECK(done_calls == BATCH); /* the parent did not notice */
}

static void by_caller(void)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    submit_batch(on_done);
    jsonrpcc_status status =
        jsonrpcc_sync_call(sync, "echo", 4, "[3]", 3, 0, 0, -1);

    if (is_child) {
        bool told_so = status == JSONRPCC_EFOREIGN &&
                       jsonrpcc_sync_wait(sync, -1) == JSONRPCC_EFOREIGN &&
                       jsonrpcc_sync_call(sync, "echo", 4, "[3]", 3, 0, 0,
                                          -1) != JSONRPCC_OK;
        jsonrpcc_sync_free(sync);
        end_child(told_so);
    }
    CHECK(status == JSONRPCC_OK);
    jsonrpcc_sync_free(sync);
}

static void by_deferred(void)
{
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, false);
    jsonrpcc_status status = JSONRPCC_EPENDING;

    submit_batch(on_done_defer);
    for (int n = 0; n < 5000 && status == JSONRPCC_EPENDING && child < 0; n++)
        status = jsonrpcc_wait(waiter, 1);
    if (is_child)
        end_child(status == JSONRPCC_EFOREIGN);
    jsonrpcc_waiter_free(waiter);
}

static void by_event(void)
{
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, false);
    jsonrpcc_status status = JSONRPCC_EPENDING;

    jsonrpcc_on_event(client, on_event, NULL);
    for (int n = 0; n < 5000 && status == JSONRPCC_EPENDING && child < 0; n++)
        status = jsonrpcc_wait(waiter, 1);
    if (is_child)
        end_child(status == JSONRPCC_EFOREIGN);
    jsonrpcc_on_event(client, NULL, NULL);
    jsonrpcc_waiter_free(waiter);
    done_calls = BATCH;
}

static void by_poller(void)
{
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, true);

    submit_batch(on_done);
    for (int n = 0; n < 5000 && child < 0 && !is_child; n++) {
        bool led = jsonrpcc_poll(waiter);
        if (is_child)
            end_child(!led && !jsonrpcc_poll(waiter));
        nap();
    }
    jsonrpcc_waiter_free(waiter);
}

/* The last thread of a child ends, and so the process does. */
static void at_exit(void)
{
    if (is_child)
        check_exit(told_in_child == 1 ? CODE : CODE + 1);
}

static void by_event_thread(void)
{
    submit_batch(on_done);
    jsonrpcc_flush(client);
}

/* Let a single thread lead: if others waited, one of those might be the thread
 * that forks. */
static void test(void (*lead)(void), unsigned at)
{
    pthread_t threads[2];

    client = new_client((jsonrpcc_options){.timeout_ms = 20000});
    CHECK(call() == JSONRPCC_OK); /* connected */
    stop = false;
    told = done_calls = 0;
    fork_at = at;
    child = -1;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, submit, NULL);
    lead();
    await_child();
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(call() == JSONRPCC_OK);
    end_client(client);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 10;

    if (!check_may_fork())
        return 0;
    atexit(at_exit);
    begin_peer();
    for (unsigned round = 0; round < rounds; round++) {
        test(by_event_thread, 1 + round % BATCH);
        test(by_event, 1);
        test(by_deferred, 1);
        test(by_poller, 1 + round % BATCH);
        test(by_caller, 1 + round % BATCH);
    }
    end_peer();
    return check_done();
}
