/* Clients that share an event thread: it serves them all, none of them costs a
 * thread or wakes it for nothing, and whatever one does, the others go on.
 *
 * Argument: for how many rounds clients come and go at random (300). */
#include "peer_client.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { CLIENTS = 50, PATIENCE = 20000, SLOTS = 8 };

static unsigned entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);

    CHECK(dir != NULL);
    for (; dir != NULL && readdir(dir) != NULL; count++)
        continue;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static unsigned threads(void)
{
    return entries("/proc/self/task");
}

static jsonrpcc_client *new_shared(void)
{
    return new_client((jsonrpcc_options){.flags = JSONRPCC_SHARED_THREAD});
}

static _Atomic(pthread_t) thread;
static atomic_uint told, wrong;

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)token;
    if (outcome->status != JSONRPCC_OK)
        wrong++;
    if (arg != NULL && thread != 0 && !pthread_equal(thread, pthread_self()))
        wrong++;
    if (arg != NULL)
        thread = pthread_self();
    told++;
}

/* arg: anything but NULL if the outcome has to come on the one thread. */
static void submit(jsonrpcc_client *client, const char *method, void *arg)
{
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = "[1]",
        .params_len = 3,
        .timeout_ms = PATIENCE,
        .done = on_done,
        .arg = arg,
    };

    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
}

static bool await_told(unsigned count)
{
    for (int i = 0; i < PATIENCE && told < count; i++)
        nap();
    return CHECK(told == count);
}

static unsigned threads_before; /* any client */

static void await_threads(unsigned count)
{
    for (int i = 0; i < PATIENCE && threads() > count; i++)
        nap();
    CHECK(threads() == count);
}

/* Of the whole process. */
static long wake_ups(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

static void test_one_thread_serves_them_all(void)
{
    jsonrpcc_client *clients[CLIENTS];
    unsigned fds = entries("/proc/self/fd");

    told = wrong = 0;
    thread = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = new_shared();
        submit(clients[i], "echo", &told);
    }
    await_told(CLIENTS);
    CHECK(wrong == 0);
    CHECK(threads() == threads_before + 1);
    /* None of them polls.  A connection that comes up still leaves an alarm. */
    long woken = 1000;
    for (int i = 0; i < 30 && woken > 2; i++) {
        long at = wake_ups();
        for (int j = 0; j < 200; j++)
            nap();
        woken = wake_ups() - at - 200; /* ours */
    }
    CHECK(woken <= 2);
    for (int i = 0; i < CLIENTS; i++)
        end_client(clients[i]);
    await_threads(threads_before);
    for (int i = 0; i < PATIENCE && entries("/proc/self/fd") > fds; i++)
        nap(); /* the peer closes its ends */
    CHECK(entries("/proc/self/fd") == fds);
}

static jsonrpcc_client *victim;
static atomic_int closed = -1;

static void close_victim(void *arg, uint64_t token,
                         const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    (void)outcome;
    closed = jsonrpcc_client_close(victim, PATIENCE);
}

/* It would wait for its own thread. */
static void test_a_callback_does_not_wait_for_the_end_of_another(void)
{
    jsonrpcc_client *client = new_shared();
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "echo",
        .method_len = 4,
        .params = "[1]",
        .params_len = 3,
        .timeout_ms = PATIENCE,
        .done = close_victim,
    };

    victim = new_shared();
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    for (int i = 0; i < PATIENCE && closed < 0; i++)
        nap();
    CHECK(closed == false);
    end_client(victim);
    end_client(client);
}

/* A caller leads; when it leaves, responses to others still come at once. */
static void test_a_loop_goes_on_when_a_caller_leaves_it(void)
{
    jsonrpcc_client *client = new_shared();
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);

    told = wrong = 0;
    for (unsigned i = 1; i <= 200; i++) {
        submit(client, "echo", NULL);
        CHECK(jsonrpcc_sync_call(sync, "echo", 4, "[2]", 3, PATIENCE, 0, -1) ==
              JSONRPCC_OK);
        await_told(i);
    }
    CHECK(wrong == 0);
    jsonrpcc_sync_free(sync);
    end_client(client);
}

/* ---- clients that come and go while others call ---- */

static atomic_bool stop;
static jsonrpcc_client *lasting[SLOTS];

static void *call_all(void *arg)
{
    unsigned *calls = arg;

    while (!stop) {
        for (int i = 0; i < SLOTS; i++, ++*calls)
            submit(lasting[i], "echo", NULL);
        while (!stop && told + 2000 < *calls)
            nap();
    }
    return NULL;
}

/* Closed at a random moment, with calls in flight or not. */
static void come_and_go(unsigned round)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){
        .flags = round % 3 > 0 ? JSONRPCC_SHARED_THREAD : 0});
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = round % 2 ? "mute" : "echo",
        .method_len = 4,
        .params = "[1]",
        .params_len = 3,
        .timeout_ms = 1 + rand() % 3,
    };

    for (int i = rand() % 5; i > 0; i--)
        CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    for (int i = rand() % 4; i > 0; i--)
        nap();
    if (rand() % 2)
        CHECK(jsonrpcc_client_close(client, PATIENCE));
    jsonrpcc_client_free(client);
}

static void test_others_go_on_while_clients_come_and_go(unsigned rounds)
{
    unsigned calls = 0;
    pthread_t caller;

    srand(1);
    told = wrong = 0;
    stop = false;
    for (int i = 0; i < SLOTS; i++)
        lasting[i] = new_shared();
    CHECK(pthread_create(&caller, NULL, call_all, &calls) == 0);
    for (unsigned i = 0; i < rounds; i++)
        come_and_go(i);
    stop = true;
    pthread_join(caller, NULL);
    await_told(calls);
    CHECK(wrong == 0 && calls > rounds);
    for (int i = 0; i < SLOTS; i++)
        end_client(lasting[i]);
    await_threads(threads_before);
}

static void *come_and_go_often(void *rounds)
{
    for (unsigned i = 0; i < *(unsigned *)rounds; i++)
        come_and_go(i);
    return NULL;
}

/* No client lasts, so the thread ends and begins time and again. */
static void test_clients_come_and_go_in_several_threads(unsigned rounds)
{
    enum { THREADS = 4 };
    pthread_t all[THREADS];

    srand(3);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&all[i], NULL, come_and_go_often, &rounds) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(all[i], NULL);
    await_threads(threads_before);
}

/* Children have a thread of their own, and leave the parent's alone. */
static void test_children_have_a_thread_of_their_own(void)
{
    unsigned calls = 0;
    pthread_t caller;
    int status;

    if (!check_may_fork())
        return;
    told = wrong = 0;
    stop = false;
    for (int i = 0; i < SLOTS; i++)
        lasting[i] = new_shared();
    CHECK(pthread_create(&caller, NULL, call_all, &calls) == 0);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            told = 0;
            check_failures = 0;
            for (int j = 0; j < SLOTS; j++)
                submit(lasting[j], "echo", NULL);
            await_told(SLOTS);
            CHECK(threads() == 4); /* with "." and ".." */
            for (int j = 0; j < SLOTS; j++)
                end_client(lasting[j]);
            check_exit(check_failures != 0);
        }
        status = 1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = true;
    pthread_join(caller, NULL);
    await_told(calls);
    CHECK(wrong == 0);
    for (int i = 0; i < SLOTS; i++)
        end_client(lasting[i]);
}

int main(int argc, char **argv)
{
    begin_peer();
    threads_before = threads();
    test_one_thread_serves_them_all();
    test_a_callback_does_not_wait_for_the_end_of_another();
    test_a_loop_goes_on_when_a_caller_leaves_it();
    test_others_go_on_while_clients_come_and_go(
        argc > 1 ? (unsigned)atoi(argv[1]) : 300);
    test_clients_come_and_go_in_several_threads(
        argc > 1 ? (unsigned)atoi(argv[1]) : 100);
    test_children_have_a_thread_of_their_own();
    end_peer();
    return check_done();
}
