/* Clients are closed while threads use them in every style: by each other's
 * callbacks, by several threads at once, and while the process forks.
 *
 * Arguments: rounds (15), and a seed. */
#include "peer_client.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { CLIENTS = 2, HANGS_S = 60 };

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { FORKS = 0 }; /* a child may find the sanitizers' locks held for ever */
#else
enum { FORKS = 1 };
#endif

struct victim {
    jsonrpcc_client *client, *other;
    jsonrpcc_queue *queue;
    atomic_uint accepted, outcomes; /* of calls with a callback */
    atomic_bool over;               /* close() has returned true */
    bool is_hostile;                /* its callbacks close the other client */
};

static atomic_uint seed;

/* From 0 to n - 1; any thread. */
static unsigned dice(unsigned n)
{
    uint64_t x = ((uint64_t)++seed + 1) * 0x9e3779b97f4a7c15u;

    x ^= x >> 29;
    return (unsigned)((x * 0xbf58476d1ce4e5b9u) >> 40) % n;
}

static void naps(unsigned most)
{
    for (unsigned n = dice(most + 1); n > 0; n--)
        nap();
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct victim *victim = arg;

    (void)token;
    (void)outcome;
    CHECK(!victim->over);
    victim->outcomes++;
    if (victim->is_hostile && dice(8) == 0)
        jsonrpcc_client_close(victim->other, -1);
}

static const char *const methods[] = {"echo", "mute", "drop", "refuse"};

static jsonrpcc_call some_call(struct victim *victim)
{
    const char *method = methods[dice(4)];

    return (jsonrpcc_call){
        .size = sizeof(jsonrpcc_call),
        .method = method,
        .method_len = strlen(method),
        .params = "[0]",
        .params_len = 3,
        .timeout_ms = (int32_t[]){1, 50, 30000}[dice(3)],
        .flags = dice(4) == 0 ? JSONRPCC_IDEMPOTENT : 0,
        .done = on_done,
        .arg = victim,
    };
}

/* Submit until it is closed, and wait for room where there is none. */
static void *submit(void *arg)
{
    struct victim *victim = arg;
    jsonrpcc_status status = JSONRPCC_OK;

    while (status != JSONRPCC_ECLOSED) {
        jsonrpcc_call call = some_call(victim);
        uint64_t id = 0;
        if (dice(4) == 0) {
            call.flags = JSONRPCC_NOTIFICATION;
            call.done = NULL;
        }
        victim->accepted += call.done != NULL;
        status = jsonrpcc_request(victim->client, &call, &id);
        victim->accepted -= call.done != NULL && status != JSONRPCC_OK;
        if (status == JSONRPCC_EFULL)
            jsonrpcc_room(victim->client, 5);
        else if (status == JSONRPCC_OK && dice(8) == 0)
            jsonrpcc_cancel(victim->client, id);
    }
    return NULL;
}

/* Blocking calls, until it is closed. */
static void *call(void *arg)
{
    struct victim *victim = arg;
    jsonrpcc_sync *sync = jsonrpcc_sync_new(victim->client);
    jsonrpcc_status status = JSONRPCC_OK;

    while (status != JSONRPCC_ECLOSED) {
        const char *method = methods[dice(2)];
        status = jsonrpcc_sync_call(sync, method, strlen(method), "[0]", 3, 20,
                                    0, -1);
    }
    jsonrpcc_sync_free(sync);
    return NULL;
}

/* Fetch, as a dispatcher does, until the queue is closed; by then, all that was
 * accepted has come. */
static void *fetch(void *arg)
{
    struct victim *victim = arg;
    jsonrpcc_completions done;
    jsonrpcc_status status;
    int64_t id = 0;
    size_t accepted = 0, fetched = 0;

    do {
        for (int n = 0; n < 3 && id != -JSONRPCC_ECLOSED; n++) {
            id = jsonrpcc_queue_request(victim->queue, 1, methods[dice(2)], 4,
                                        "[0]", 3, 20, 0);
            accepted += id > 0;
        }
        status = jsonrpcc_queue_wait(victim->queue, &done, 5);
        if (status == JSONRPCC_OK)
            fetched += done.count + done.failure_count;
    } while (status != JSONRPCC_ECLOSED);
    CHECK(fetched == accepted);
    return NULL;
}

static void *close_it(void *arg)
{
    struct victim *victim = arg;

    naps(3);
    CHECK(jsonrpcc_client_close(victim->client, -1));
    return NULL;
}

/* A child closes the client that it has inherited, and then it is closed. */
static pid_t fork_once(struct victim *victims)
{
    if (!FORKS || dice(2) == 0)
        return 0;
    naps(3);
    pid_t child = fork();
    if (child != 0)
        return child;
    alarm(HANGS_S);
    for (int i = 0; i < CLIENTS; i++) {
        jsonrpcc_call call = {.size = sizeof call, .method = "m"};
        call.method_len = 1;
        if (dice(2) == 0)
            jsonrpcc_request(victims[i].client, &call, NULL);
        if (!jsonrpcc_client_close(victims[i].client, -1) ||
            jsonrpcc_request(victims[i].client, &call, NULL) !=
                JSONRPCC_ECLOSED)
            check_exit(1);
    }
    check_exit(0);
}

static void begin(struct victim *victims)
{
    jsonrpcc_options options = {
        .servers = dice(2) == 0 ? "127.0.0.1:1" : servers,
        .timeout_ms = 30000,
        .reconnect_ms = 10,
        .reconnect_max_ms = 50,
        .max_in_flight = (uint32_t[]){4, 64, 0}[dice(3)],
    };

    for (int i = 0; i < CLIENTS; i++) {
        victims[i].client = new_client(options);
        victims[i].queue = jsonrpcc_queue_new(victims[i].client, 0);
        victims[i].is_hostile = dice(2) == 0;
    }
    for (int i = 0; i < CLIENTS; i++)
        victims[i].other = victims[(i + 1) % CLIENTS].client;
}

static void end(struct victim *victim)
{
    CHECK(jsonrpcc_client_close(victim->client, -1));
    victim->over = true;
}

static void test_a_close_in_trouble(void)
{
    static void *(*const users[])(void *) = {submit, submit, call, fetch,
                                             close_it};
    enum { USERS = sizeof users / sizeof *users };
    struct victim victims[CLIENTS] = {0};
    pthread_t threads[CLIENTS][USERS];
    int status = 0;

    begin(victims);
    for (int i = 0; i < CLIENTS; i++)
        for (int user = 0; user < USERS; user++)
            if (pthread_create(&threads[i][user], NULL, users[user],
                               &victims[i]) != 0)
                exit(1);
    pid_t child = fork_once(victims);
    naps(5);
    for (int i = 0; i < CLIENTS; i++)
        end(&victims[i]);
    for (int i = 0; i < CLIENTS; i++)
        for (int user = 0; user < USERS; user++)
            pthread_join(threads[i][user], NULL);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK(victims[i].outcomes == victims[i].accepted);
        jsonrpcc_queue_free(victims[i].queue);
        jsonrpcc_client_free(victims[i].client);
    }
    if (child > 0)
        CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 15;

    seed = argc > 2 ? (unsigned)atoi(argv[2]) : (unsigned)time(NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %u\n", seed);
    begin_peer();
    for (int i = 0; i < rounds; i++) {
        alarm(HANGS_S);
        test_a_close_in_trouble();
    }
    end_peer();
    return check_done();
}
