/* Everything at once, from many threads: callbacks that call again, cancels, a
 * queue, blocking calls, statistics, listeners, forks; and close() in the
 * middle of it.  Each accepted call has its one outcome, none after close() has
 * returned.
 *
 * Arguments: how many rounds (8), and their length in milliseconds (150). */
#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 3, BLOCKERS = 2, IN_FLIGHT = 256, TOKENS = 1 << 19 };

#if defined(__SANITIZE_THREAD__)
enum { CHILDREN_USE = 0 }; /* TSan allows no threads in a child of threads */
#else
enum { CHILDREN_USE = 1 };
#endif

/* A host may have more thread-local storage than the event thread has stack,
 * and glibc puts it onto that stack. */
static __thread char large[300000];

static struct peer peers[2];
static uint64_t first_number; /* of the round: the token 0 */

struct round {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue;
    atomic_bool closed; /* close() has returned */
    atomic_uint next_token;
    atomic_uint accepted, told, late, wrong, events;
    unsigned forks;
    atomic_uchar outcomes[TOKENS];
    atomic_uchar taken[TOKENS]; /* accepted */
};

static struct round round_;
static struct {
    uint64_t calls, forks, lost, doubled, late, wrong;
} total;
static atomic_uint statuses[JSONRPCC_EDEADLK + 1];

/* ---- calls --------------------------------------------------------------- */

/* A new token, and params that hold it; false: the round has used up all. */
static bool new_call(struct round *round, char params[32], uint32_t *token)
{
    *token = atomic_fetch_add(&round->next_token, 1);
    if (*token >= TOKENS)
        return false;
    snprintf(params, 32, "[%llu]", (unsigned long long)(first_number + *token));
    return true;
}

static void accepted(struct round *round, uint32_t token)
{
    atomic_store(&round->taken[token], 1);
    atomic_fetch_add(&round->accepted, 1);
}

static void record(struct round *round, uint64_t token,
                   const jsonrpcc_outcome *outcome)
{
    if (outcome->status == JSONRPCC_OK && outcome->json != NULL &&
        !peer_says("echo", first_number + token, outcome->json,
                   outcome->json_len)) {
        printf("  call %llu: %.*s\n",
               (unsigned long long)(first_number + token),
               (int)(outcome->json_len > 40 ? 40 : outcome->json_len),
               outcome->json);
        atomic_fetch_add(&round->wrong, 1);
    }
    atomic_fetch_add(&statuses[outcome->status], 1);
    atomic_fetch_add(&round->outcomes[token], 1);
    atomic_fetch_add(&round->told, 1);
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome);

static jsonrpcc_status submit(struct round *round, uint32_t flags, uint64_t *id)
{
    char params[32];
    uint32_t token;

    if (!new_call(round, params, &token))
        return JSONRPCC_ECLOSED;
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "echo",
        .method_len = 4,
        .params = params,
        .params_len = strlen(params),
        .timeout_ms = 5000,
        .flags = flags,
        .done = on_done,
        .arg = round,
        .token = token,
    };
    jsonrpcc_status status = jsonrpcc_request(round->client, &call, id);
    if (status == JSONRPCC_OK)
        accepted(round, token);
    return status;
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct round *round = arg;
    jsonrpcc_stats stats;

    if (atomic_load(&round->closed))
        atomic_fetch_add(&round->late, 1);
    record(round, token, outcome);
    if (token % 16 == 0)
        submit(round, JSONRPCC_RESERVE, NULL);
    if (token % 64 == 0)
        jsonrpcc_client_stats(round->client, &stats, sizeof stats);
}

/* ---- threads ------------------------------------------------------------- */

static void *caller(void *arg)
{
    struct round *round = arg;
    jsonrpcc_status status;
    uint64_t id;

    for (unsigned n = 0;; n++) {
        uint32_t flags = (n % 7 == 0 ? JSONRPCC_NOTIFICATION : 0) |
                         (n % 5 == 0 ? JSONRPCC_IDEMPOTENT : 0) |
                         (n % 3 == 0 ? JSONRPCC_CORKED : 0);
        status = submit(round, flags, &id);
        if (status == JSONRPCC_EFULL)
            jsonrpcc_room(round->client, 20);
        else if (status != JSONRPCC_OK)
            return NULL; /* closed */
        else if (n % 11 == 0)
            jsonrpcc_cancel(round->client, id);
        if (n % 32 == 0)
            jsonrpcc_flush(round->client);
    }
}

static void *queuer(void *arg)
{
    struct round *round = arg;
    char params[32];
    uint32_t token;

    while (new_call(round, params, &token)) {
        int64_t id = jsonrpcc_queue_request(round->queue, token, "echo", 4,
                                            params, strlen(params), 5000, 0);
        if (id > 0) {
            accepted(round, token);
            if (token % 13 == 0)
                jsonrpcc_cancel(round->client, (uint64_t)id);
        } else if (id == -JSONRPCC_EFULL) {
            jsonrpcc_queue_room(round->queue, 20);
        } else {
            break;
        }
    }
    return NULL;
}

static void *fetcher(void *arg)
{
    struct round *round = arg;
    jsonrpcc_completions completions;
    jsonrpcc_status status;

    while ((status = jsonrpcc_queue_wait(round->queue, &completions, 100)) !=
           JSONRPCC_ECLOSED) {
        if (status != JSONRPCC_OK)
            continue;
        atomic_fetch_add(&round->events, (unsigned)completions.event_count);
        for (size_t i = 0; i < completions.count; i++) {
            jsonrpcc_outcome outcome = {0};
            outcome.json =
                jsonrpcc_completions_result(&completions, i, &outcome.json_len);
            record(round, completions.tokens[i], &outcome);
        }
        for (size_t i = 0; i < completions.failure_count; i++) {
            const jsonrpcc_failure *failure =
                jsonrpcc_completions_failure(&completions, i);
            record(round, failure->token, &failure->outcome);
        }
    }
    return NULL;
}

static void *blocker(void *arg)
{
    struct round *round = arg;
    jsonrpcc_sync *sync = jsonrpcc_sync_new(round->client);
    jsonrpcc_status status = JSONRPCC_OK;
    char params[32];
    uint32_t token;

    while (status != JSONRPCC_ECLOSED && new_call(round, params, &token)) {
        status = jsonrpcc_sync_call(sync, "echo", 4, params, strlen(params),
                                    5000, 0, token % 8 == 0 ? 0 : 5);
        while (status == JSONRPCC_EPENDING) {
            if (token % 16 == 0)
                jsonrpcc_sync_cancel(sync);
            status = jsonrpcc_sync_wait(sync, 50);
        }
        const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
        if (outcome == NULL)
            continue;
        accepted(round, token);
        record(round, token, outcome);
    }
    jsonrpcc_sync_free(sync);
    return NULL;
}

static void use_in_child(const struct round *round)
{
    /* Otherwise a peer that stops would live on in this process, without its
     * thread. */
    for (int i = 0; i < 2; i++)
        close(peers[i].listener);
    jsonrpcc_sync *sync = jsonrpcc_sync_new(round->client);
    const char params[] = "[0]"; /* the peer's first number, used by no call */

    jsonrpcc_status status =
        sync == NULL ? JSONRPCC_ENOMEM
                     : jsonrpcc_sync_call(
                           sync, "echo", 4, params, sizeof params - 1, 5000,
                           JSONRPCC_WAIT_FOR_READY | JSONRPCC_IDEMPOTENT, 5000);
    if (status == JSONRPCC_ECLOSED)
        check_exit(0); /* closed before the fork */
    if (status != JSONRPCC_OK)
        check_exit(16 + (int)status);
    const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
    bool right = peer_says("echo", 0, outcome->json, outcome->json_len);
    jsonrpcc_sync_free(sync);
    check_exit(right && jsonrpcc_client_close(round->client, 5000) ? 0 : 2);
}

/* Reads everything that can be read, and forks. */
static void *looker(void *arg)
{
    struct round *round = arg;
    jsonrpcc_stats stats;
    jsonrpcc_server_info info;
    int status = 0;

    for (unsigned n = 0; !atomic_load(&round->closed); n++) {
        jsonrpcc_client_stats(round->client, &stats, sizeof stats);
        for (uint32_t i = 0; i < jsonrpcc_server_count(round->client); i++)
            jsonrpcc_server_get(round->client, i, &info, sizeof info);
        jsonrpcc_undelivered(round->client, n % 2 == 0 ? 1000 : -1000);
        if (stats.in_flight > IN_FLIGHT + 256) {
            printf("  %llu calls in flight\n",
                   (unsigned long long)stats.in_flight);
            atomic_fetch_add(&round->wrong, 1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        if (n % 8 != 7)
            continue;
        pid_t child = fork();
        if (child == 0 && CHILDREN_USE && n % 16 == 7)
            use_in_child(round);
        if (child == 0)
            check_exit(0);
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("  child's status %x\n", (unsigned)status);
            atomic_fetch_add(&round->wrong, 1);
        }
        round->forks++;
    }
    return NULL;
}

/* ---- rounds -------------------------------------------------------------- */

static void check_round(const struct round *round)
{
    uint32_t used = atomic_load(&round->next_token);
    unsigned lost = 0, doubled = 0, unaccepted = 0;

    for (uint32_t i = 0; i < used && i < TOKENS; i++) {
        unsigned outcomes = round->outcomes[i], taken = round->taken[i];
        lost += outcomes < taken;
        doubled += outcomes > 1;
        unaccepted += outcomes > taken;
    }
    CHECK(lost == 0);
    CHECK(doubled == 0);
    CHECK(unaccepted == 0);
    CHECK(round->late == 0);
    CHECK(round->wrong == 0);
    CHECK(round->told == round->accepted);
    total.calls += round->accepted;
    total.forks += round->forks;
    total.lost += lost;
    total.doubled += doubled;
    total.late += round->late;
    total.wrong += round->wrong;
}

static void run(long ms, bool kill_a_peer)
{
    struct round *round = &round_;
    char servers[60], why[100];
    pthread_t threads[CALLERS + BLOCKERS + 3];
    int n = 0;

    memset(round, 0, sizeof *round);
    for (int i = 0; i < 2; i++)
        peer_start(&peers[i], NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u 127.0.0.1:%u",
             peers[0].port, peers[1].port);
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = servers,
        .max_in_flight = IN_FLIGHT,
        .reconnect_ms = 5,
        .reconnect_max_ms = 20,
    };
    jsonrpcc_status status =
        jsonrpcc_client_new(&options, &round->client, why, sizeof why);
    if (!CHECK(status == JSONRPCC_OK)) {
        printf("  %s: %s\n", jsonrpcc_status_text(status), why);
        exit(1);
    }
    round->queue = jsonrpcc_queue_new(round->client, JSONRPCC_QUEUE_EVENTS);
    void *(*const bodies[])(void *) = {queuer, fetcher, looker};
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&threads[n++], NULL, caller, round);
    for (int i = 0; i < BLOCKERS; i++)
        pthread_create(&threads[n++], NULL, blocker, round);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[n++], NULL, bodies[i], round);
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000 / 2}, NULL);
    if (kill_a_peer)
        peer_stop(&peers[0]);
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000 / 2}, NULL);
    CHECK(jsonrpcc_client_close(round->client, 10000));
    atomic_store(&round->closed, true);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    CHECK(round->events > 0);
    jsonrpcc_queue_free(round->queue);
    jsonrpcc_client_free(round->client);
    check_round(round);
    first_number += TOKENS;
    if (!kill_a_peer)
        peer_stop(&peers[0]);
    peer_stop(&peers[1]);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 8;
    long ms = argc > 2 ? atol(argv[2]) : 150;

    setvbuf(stdout, NULL, _IOLBF, 0);
    large[argc] = 1; /* it is in use */
    for (int i = 0; i < rounds; i++) {
        first_number = 1 + (uint64_t)(i % 7) * TOKENS; /* the peers are new */
        run(ms, i % 2 == 1);
    }
    printf("threads: rounds %d, calls %llu, forks %llu:", rounds,
           (unsigned long long)total.calls, (unsigned long long)total.forks);
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++)
        if (statuses[i] > 0)
            printf(" %u %s,", statuses[i],
                   jsonrpcc_status_text((jsonrpcc_status)i));
    printf(" lost %llu, doubled %llu, late %llu, wrong %llu\n",
           (unsigned long long)total.lost, (unsigned long long)total.doubled,
           (unsigned long long)total.late, (unsigned long long)total.wrong);
    return check_done();
}
