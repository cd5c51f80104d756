/* A close in the middle of something else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif

#include "check.h"
#include "jsonrpcc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static atomic_bool in_turn, begun;
static _Thread_local unsigned destroyed;

/* Instead of libc's: counts those of each thread. */
__attribute__((visibility("default"), used)) int pthread_mutex_destroy(
    pthread_mutex_t *mutex)
{
    int (*real)(pthread_mutex_t *);

    *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_destroy");
    destroyed++;
    return real(mutex);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Called while the leader runs the engine: it is not asleep, so nobody wakes
 * it. */
static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    CHECK(outcome->status == JSONRPCC_EFAILURE);
    in_turn = true;
    for (int n = 0; n < 5000 && !begun; n++)
        nap();
}

static void test_a_close_during_a_turn(void)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = "127.0.0.1:1", /* refused */
        .connect_timeout_ms = 1,
        .reconnect_attempts = -1,
    };
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "m",
        .method_len = 1,
        .timeout_ms = 60000,
        .done = on_done,
    };
    jsonrpcc_server_info info = {0};
    jsonrpcc_client *client = NULL;

    if (!CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK))
        exit(1);
    for (int n = 0; n < 5000 && info.attempts_failed == 0; n++) {
        nap();
        CHECK(jsonrpcc_server_get(client, 0, &info, sizeof info));
    }
    for (int n = 0; n < 300; n++)
        nap(); /* until no timer is left that would end its sleep */
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    for (int n = 0; n < 5000 && !in_turn; n++)
        nap();
    CHECK(!jsonrpcc_client_close(client, 0));
    begun = true;
    CHECK(jsonrpcc_client_close(client, 5000));
    jsonrpcc_client_free(client);
}

/* Once a program has waited for the end and freed the client, everything is
 * freed: no other thread does so later, where tools that look for leaks at exit
 * would find something. */
static void test_the_last_free_leaves_nothing_to_other_threads(void)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = "127.0.0.1:1",
    };

    for (int i = 0; i < 500; i++) {
        jsonrpcc_client *client = NULL;
        if (!CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) ==
                   JSONRPCC_OK))
            exit(1);
        CHECK(jsonrpcc_client_close(client, -1));
        unsigned before = destroyed;
        jsonrpcc_client_free(client);
        CHECK(destroyed > before);
    }
}

#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */

static void *close_it(void *client)
{
    jsonrpcc_client_close(client, -1);
    return NULL;
}

/* In a child: closed is closed, even if another thread opens the client
 * anew. */
static void use_and_close(jsonrpcc_client *client)
{
    jsonrpcc_call call = {.size = sizeof call, .method = "m", .method_len = 1};
    jsonrpcc_stats stats;
    pthread_t thread;

    if (pthread_create(&thread, NULL, close_it, client) != 0)
        check_exit(2);
    jsonrpcc_client_stats(client, &stats, sizeof stats);
    pthread_join(thread, NULL);
    check_exit(jsonrpcc_request(client, &call, NULL) != JSONRPCC_ECLOSED);
}

static void test_a_close_in_a_child_while_its_client_is_opened_again(void)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = "127.0.0.1:1",
        .reconnect_attempts = -1,
    };
    jsonrpcc_server_info info = {0};
    jsonrpcc_client *client = NULL;

    CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK);
    /* From then on its event thread sleeps: otherwise ASan's malloc() in the
     * child might find a lock that this thread held at the fork locked for
     * ever. */
    for (int n = 0; n < 5000 && info.attempts_failed == 0; n++) {
        nap();
        CHECK(jsonrpcc_server_get(client, 0, &info, sizeof info));
    }
    for (int n = 0; n < 300; n++)
        nap();
    for (int i = 0; i < 50; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            use_and_close(client);
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    jsonrpcc_client_free(client);
}

#else

static void test_a_close_in_a_child_while_its_client_is_opened_again(void)
{
}

#endif

/* Nothing takes a list or a hello in any more: the leak sanitizer sees whether
 * they are freed. */
static void test_a_closed_client_keeps_nothing_that_is_set(void)
{
    jsonrpcc_options options = {.size = sizeof options,
                                .servers = "127.0.0.1:1",
                                .reconnect_attempts = -1};
    jsonrpcc_call hello = {
        .size = sizeof hello, .method = "login", .method_len = 5};
    jsonrpcc_client *client = NULL;

    CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK);
    CHECK(jsonrpcc_client_close(client, 5000));
    CHECK(jsonrpcc_servers_set(client, "127.0.0.1:2 127.0.0.1:3", NULL, 0) ==
          JSONRPCC_ECLOSED);
    CHECK(jsonrpcc_hello_set(client, &hello, 1, NULL, 0) == JSONRPCC_ECLOSED);
    jsonrpcc_client_free(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_a_close_during_a_turn();
    test_the_last_free_leaves_nothing_to_other_threads();
    test_a_close_in_a_child_while_its_client_is_opened_again();
    test_a_closed_client_keeps_nothing_that_is_set();
    return check_done();
}
