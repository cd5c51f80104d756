/* Every allocation and every system call of the client made to fail, once and
 * from then on, at its first, second, third call and so forth, in scenarios
 * with real sockets.  Each accepted call must get its one outcome, with the
 * right data; not_sent must be true; and when the fault is over the client must
 * work again.  Leaks are for LSan to find, descriptors are counted here.
 *
 * Arguments: the last n to fail of a system call (3); of an allocation it is
 * the last that there is. */
#include "fault_here.h"

#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <dirent.h>
#include <event2/event.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

enum { CALLS = 16, BOUNDARY_MS = 30, TIMEOUT_MS = 100, PATIENCE_MS = 5000 };

/* So many runs in a row that the fault did not come to: there are threads, and
 * no two runs make quite the same calls. */
enum { MISSES = 2 };

enum { SPARE_FDS = 40 };

static struct peer peer;
static uint16_t dead_port;
static uint64_t last_number;

/* One run of a scenario. */
struct run {
    jsonrpcc_client *client;
    unsigned accepted;
    struct {
        const char *method;
        uint64_t number;
        bool notification;
        bool undelivered; /* its outcome may be kept from us */
        atomic_uint outcomes;
        jsonrpcc_status status;
        jsonrpcc_fate fate;
        bool right; /* the data is what the peer said */
    } calls[CALLS];
};

static struct {
    uint64_t runs, calls, hits;
    uint64_t outcomes[JSONRPCC_EDEADLK + 1];
    unsigned log_lines;
} total;

/* What the run was, for messages. */
static struct {
    const char *scenario;
    enum fault_kind kind;
    int error;
    unsigned n;
    bool for_ever;
} now;

#define EXPECT(condition)                                           \
    do {                                                            \
        if (!CHECK(condition))                                      \
            printf("  %s: %s, error %d, call %u%s\n", now.scenario, \
                   fault_names[now.kind], now.error, now.n,         \
                   now.for_ever ? " and all after" : "");           \
    } while (0)

static void on_log(int severity, const char *text)
{
    (void)severity;
    (void)text;
    total.log_lines++; /* libevent's; a fault may well be worth a word */
}

static uint64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static unsigned open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* ---- calls -----------------------------------------------------------------
 */

static void record(struct run *run, uint64_t token,
                   const jsonrpcc_outcome *outcome)
{
    const char *method = run->calls[token].method;
    bool ok = outcome->status == JSONRPCC_OK;

    run->calls[token].status = outcome->status;
    run->calls[token].fate = outcome->fate;
    run->calls[token].right = run->calls[token].notification ||
                              (!ok && outcome->status != JSONRPCC_EREMOTE) ||
                              (ok != (strcmp(method, "refuse") == 0) &&
                               peer_says(method, run->calls[token].number,
                                         outcome->json, outcome->json_len));
    atomic_fetch_add(&run->calls[token].outcomes, 1);
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    record(arg, token, outcome);
}

/* A new entry of run->calls; -1: there is no more room. */
static uint64_t enter(struct run *run, const char *method, uint32_t flags,
                      char params[64])
{
    uint64_t token = run->accepted;

    if (token == CALLS)
        abort();
    run->calls[token].method = method;
    run->calls[token].number = ++last_number;
    run->calls[token].notification = (flags & JSONRPCC_NOTIFICATION) != 0;
    if ((flags & JSONRPCC_LENIENT) == 0)
        sprintf(params, "[%llu,\"\\u0041\"]", (unsigned long long)last_number);
    else
        sprintf(params, "[%llu, 'say \"a\"']", (unsigned long long)last_number);
    return token;
}

static uint64_t call(struct run *run, const char *method, uint32_t flags)
{
    char params[64];
    uint64_t token = enter(run, method, flags, params);
    uint64_t id = 0;
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = params,
        .params_len = strlen(params),
        .timeout_ms = TIMEOUT_MS,
        .flags = flags,
        .done = on_done,
        .arg = run,
        .token = token,
    };

    jsonrpcc_status status = jsonrpcc_request(run->client, &call, &id);
    EXPECT(status == JSONRPCC_OK || status == JSONRPCC_ENOMEM);
    run->accepted += status == JSONRPCC_OK;
    return id;
}

static bool has_all(const struct run *run)
{
    for (unsigned i = 0; i < run->accepted; i++)
        if (run->calls[i].outcomes == 0 && !run->calls[i].undelivered)
            return false;
    return true;
}

static void wait_for_all(const struct run *run, uint64_t ms)
{
    uint64_t end_ms = now_ms() + ms;

    while (!has_all(run) && now_ms() < end_ms)
        nap();
}

/* ---- scenarios: between open() and finish() -------------------------------
 */

static bool open_client(struct run *run, const char *servers,
                        size_t undelivered)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = servers,
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = TIMEOUT_MS,
        .reconnect_ms = 1,
        .reconnect_max_ms = 5,
        .max_in_flight = 64,
        .max_undelivered_bytes = undelivered,
    };
    char why[100];

    jsonrpcc_status status =
        jsonrpcc_client_new(&options, &run->client, why, sizeof why);
    EXPECT(status == JSONRPCC_OK || status == JSONRPCC_ENOMEM);
    EXPECT((status == JSONRPCC_OK) == (run->client != NULL));
    return run->client != NULL;
}

static const char *one_server(void)
{
    static char servers[60];

    sprintf(servers, "127.0.0.1:%u", peer.port);
    return servers;
}

static void callbacks(struct run *run)
{
    if (!open_client(run, one_server(), 0))
        return;
    call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    call(run, "refuse", 0);
    call(run, "echo", JSONRPCC_NOTIFICATION);
    call(run, "echo", JSONRPCC_LENIENT);
    call(run, "big", JSONRPCC_WAIT_FOR_READY);
    wait_for_all(run, BOUNDARY_MS);
    call(run, "e\"\\cho", 0);
    call(run, "echo", 0);
    wait_for_all(run, BOUNDARY_MS);
}

static void breaks(struct run *run)
{
    if (!open_client(run, one_server(), 0))
        return;
    call(run, "once", JSONRPCC_IDEMPOTENT | JSONRPCC_WAIT_FOR_READY);
    call(run, "echo", JSONRPCC_IDEMPOTENT);
    wait_for_all(run, BOUNDARY_MS);
    call(run, "drop", JSONRPCC_WAIT_FOR_READY);
    call(run, "echo", 0);
    wait_for_all(run, BOUNDARY_MS);
}

static void failover(struct run *run)
{
    char servers[100];

    sprintf(servers, "127.0.0.1:%u,2 localhost:%u,1", dead_port, peer.port);
    if (!open_client(run, servers, 0))
        return;
    call(run, "echo", 0);
    call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    wait_for_all(run, BOUNDARY_MS);
}

static void cancels(struct run *run)
{
    if (!open_client(run, one_server(), 0))
        return;
    uint64_t id = call(run, "mute", JSONRPCC_WAIT_FOR_READY);
    call(run, "echo", 0);
    jsonrpcc_cancel(run->client, id);
    wait_for_all(run, BOUNDARY_MS);
}

static void blocking(struct run *run)
{
    static const char *const methods[] = {"echo", "refuse", "big", "echo"};

    if (!open_client(run, one_server(), 0))
        return;
    jsonrpcc_sync *sync = jsonrpcc_sync_new(run->client);
    for (int i = 0; i < 4 && sync != NULL; i++) {
        char params[64];
        uint64_t token = enter(run, methods[i], 0, params);
        jsonrpcc_status status = jsonrpcc_sync_call(
            sync, methods[i], strlen(methods[i]), params, strlen(params),
            TIMEOUT_MS, JSONRPCC_WAIT_FOR_READY, PATIENCE_MS);
        EXPECT(status != JSONRPCC_EPENDING && status != JSONRPCC_EDEADLK);
        const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
        if (outcome == NULL) {
            EXPECT(status == JSONRPCC_ENOMEM);
            continue;
        }
        run->accepted++;
        record(run, token, outcome);
    }
    jsonrpcc_sync_free(sync);
}

/* Everything that a queue has; until all is there, for ms at the most. */
static void fetch(struct run *run, jsonrpcc_queue *queue, uint64_t ms)
{
    uint64_t end_ms = now_ms() + ms;
    jsonrpcc_batch batch;

    do {
        while (jsonrpcc_queue_fetch(queue, &batch)) {
            for (size_t i = 0; i < batch.count; i++) {
                jsonrpcc_outcome outcome = {
                    .fate = JSONRPCC_ANSWERED,
                    .json =
                        batch.results + batch.starts[i] - batch.starts[0] + 1,
                    .json_len = batch.lens[i],
                };
                record(run, batch.tokens[i], &outcome);
            }
            for (size_t i = 0; i < batch.failure_count; i++) {
                jsonrpcc_outcome outcome = batch.failures[i].outcome;
                /* The text of an error may be lost to want of memory. */
                bool bare =
                    outcome.status == JSONRPCC_EREMOTE && outcome.json == NULL;
                record(run, batch.failures[i].token, &outcome);
                if (bare)
                    run->calls[batch.failures[i].token].right = true;
            }
        }
        nap();
    } while (!has_all(run) && now_ms() < end_ms);
}

static void submit(struct run *run, jsonrpcc_queue *queue, const char *method,
                   uint32_t flags)
{
    char params[64];
    uint64_t token = enter(run, method, flags, params);
    int64_t id =
        jsonrpcc_queue_request(queue, token, method, strlen(method), params,
                               strlen(params), TIMEOUT_MS, flags);

    EXPECT(id > 0 || id == -JSONRPCC_ENOMEM);
    run->accepted += id > 0;
}

static void queued(struct run *run)
{
    /* So little that each reception stops the reading until it is fetched. */
    if (!open_client(run, one_server(), 1))
        return;
    jsonrpcc_queue *queue = jsonrpcc_queue_new(
        run->client, JSONRPCC_QUEUE_FD | JSONRPCC_QUEUE_EVENTS);
    if (queue == NULL)
        return;
    submit(run, queue, "echo", JSONRPCC_WAIT_FOR_READY);
    submit(run, queue, "refuse", JSONRPCC_WAIT_FOR_READY);
    submit(run, queue, "big", JSONRPCC_WAIT_FOR_READY);
    fetch(run, queue, BOUNDARY_MS);
    submit(run, queue, "echo", JSONRPCC_WAIT_FOR_READY);
    submit(run, queue, "echo", JSONRPCC_WAIT_FOR_READY);
    fetch(run, queue, BOUNDARY_MS);
    fault_disarm();
    fetch(run, queue, PATIENCE_MS);
    jsonrpcc_queue_free(queue);
}

static void checks(struct run *run)
{
    char why[100];
    const char *rule;
    size_t at;

    (void)run;
    bool good = jsonrpcc_params_check("['a', {'b': 1}]", 15, JSONRPCC_LENIENT,
                                      &at, &rule);
    EXPECT(good || strcmp(rule, "out of memory") == 0);
    good = jsonrpcc_servers_check("a:1,2 [::1]:2 c:3,-1", why, sizeof why);
    EXPECT(good || why[0] == '\0');
}

/* ---- after the fault -------------------------------------------------------
 */

/* Works again: a new call, in a new client if the fault left none. */
static void check_recovery(struct run *run)
{
    if (run->client == NULL && !open_client(run, one_server(), 0)) {
        EXPECT(!"a client without faults");
        return;
    }
    jsonrpcc_sync *sync = jsonrpcc_sync_new(run->client);
    EXPECT(sync != NULL);
    char params[32];
    sprintf(params, "[%llu]", (unsigned long long)++last_number);
    /* The peer may only now read a "drop" that timed out. */
    jsonrpcc_status status = jsonrpcc_sync_call(
        sync, "echo", 4, params, strlen(params), 3000,
        JSONRPCC_WAIT_FOR_READY | JSONRPCC_IDEMPOTENT, PATIENCE_MS);
    EXPECT(status == JSONRPCC_OK);
    if (status == JSONRPCC_OK) {
        const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
        EXPECT(
            peer_says("echo", last_number, outcome->json, outcome->json_len));
    }
    jsonrpcc_sync_free(sync);
}

static void check_outcomes(struct run *run)
{
    for (unsigned i = 0; i < run->accepted; i++) {
        EXPECT(run->calls[i].outcomes == 1);
        EXPECT(run->calls[i].right);
        jsonrpcc_status status = run->calls[i].status;
        EXPECT(status == JSONRPCC_OK || status == JSONRPCC_EREMOTE ||
               status == JSONRPCC_ENOMEM || status == JSONRPCC_EFAILURE ||
               status == JSONRPCC_ECONNLOST || status == JSONRPCC_ETIMEDOUT ||
               status == JSONRPCC_ECANCELLED);
        /* The peer may not have read it yet; but never if it was not sent. */
        EXPECT(run->calls[i].fate != JSONRPCC_NOT_SENT ||
               peer_saw(&peer, run->calls[i].number) == 0);
        EXPECT(strcmp(run->calls[i].method, "once") == 0 ||
               peer_saw(&peer, run->calls[i].number) <= 3);
        total.outcomes[status]++;
    }
    total.calls += run->accepted;
}

/* The event thread closes the last descriptors after close() has returned. */
static void check_fds(unsigned before)
{
    uint64_t end_ms = now_ms() + PATIENCE_MS;

    while (open_fds() > before && now_ms() < end_ms)
        nap();
    EXPECT(open_fds() <= before);
}

/* One run.  Whether the fault came at all. */
static bool torment(void (*scenario)(struct run *))
{
    static struct run run;
    unsigned before = open_fds();

    memset(&run, 0, sizeof run);
    fault_error(now.error);
    fault_arm(now.kind, now.n, now.for_ever);
    scenario(&run);
    fault_disarm();
    unsigned hits = fault_count();
    wait_for_all(&run, PATIENCE_MS);
    check_recovery(&run);
    EXPECT(jsonrpcc_client_close(run.client, PATIENCE_MS));
    jsonrpcc_client_free(run.client);
    check_outcomes(&run);
    check_fds(before);
    total.runs++;
    total.hits += hits;
    return hits > 0;
}

/* ---- fork ------------------------------------------------------------------
 */

/* The child's first use of an inherited client opens it anew, under a fault. */
static bool reopen(jsonrpcc_client *client)
{
    struct run run = {.client = client};

    fault_error(now.error);
    fault_arm(now.kind, now.n, now.for_ever);
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    fault_disarm();
    bool hit = fault_count() > 0;
    jsonrpcc_sync_free(sync);
    check_recovery(&run);
    EXPECT(jsonrpcc_client_close(client, PATIENCE_MS));
    return hit;
}

/* As torment(), in a child: with an inherited client; or with none, where all
 * that libraries do but once is still to be done. */
static bool torment_child(jsonrpcc_client *client)
{
    int status = 0;

    last_number += 2 * CALLS; /* the peer is shared */
    pid_t child = fork();
    if (child == 0) {
        unsigned failures = check_failures;
        bool hit = client != NULL ? reopen(client) : torment(failover);
        fflush(stdout);
        check_exit(check_failures > failures ? 2 : hit);
    }
    last_number += 2 * CALLS;
    EXPECT(child > 0 && waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    total.runs++;
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void torment_each(jsonrpcc_client *client, unsigned most)
{
    for (int mode = 0; mode < 2; mode++) {
        now.for_ever = mode == 1;
        unsigned missed = 0;
        for (now.n = 1; missed < MISSES && now.n <= most; now.n++)
            missed = torment_child(client) ? 0 : missed + 1;
    }
}

static void torment_children(unsigned most)
{
    struct run run = {0};

    now.scenario = "fork";
    if (!open_client(&run, one_server(), 0)) {
        EXPECT(!"a client without faults");
        return;
    }
    torment_each(run.client, most);
    check_recovery(&run); /* the parent did not notice */
    jsonrpcc_client_close(run.client, PATIENCE_MS);
    jsonrpcc_client_free(run.client);
}

/* ---- all of it --------------------------------------------------------------
 */

static const struct {
    const char *name;
    void (*run)(struct run *);
} scenarios[] = {
    {"callbacks", callbacks}, {"breaks", breaks},     {"failover", failover},
    {"cancels", cancels},     {"blocking", blocking}, {"queued", queued},
    {"checks", checks},
};

static const struct {
    enum fault_kind kind;
    int error;
} faults[] = {
    {FAULT_MEMORY, ENOMEM},
    {FAULT_SOCKET, EMFILE},
    {FAULT_SOCKET, ENOBUFS},
    {FAULT_CONNECT, ENETUNREACH},
    {FAULT_CONNECT, EADDRNOTAVAIL},
    {FAULT_SEND, ECONNRESET},
    {FAULT_SEND, EPIPE},
    {FAULT_SEND, EAGAIN},
    {FAULT_SEND, EINTR},
    {FAULT_SEND, ENOBUFS},
    {FAULT_SEND, FAULT_SHORT},
    {FAULT_RECV, ECONNRESET},
    {FAULT_RECV, ETIMEDOUT},
    {FAULT_RECV, EAGAIN},
    {FAULT_RECV, EINTR},
    {FAULT_RECV, FAULT_SHORT},
    {FAULT_SETSOCKOPT, ENOPROTOOPT},
    {FAULT_GETSOCKOPT, ENOBUFS},
    {FAULT_SOCKNAME, ENOBUFS},
    {FAULT_EPOLL_CREATE, EMFILE},
    {FAULT_EPOLL_CTL, ENOMEM},
    {FAULT_EPOLL_CTL, ENOSPC},
    {FAULT_EPOLL_WAIT, EINTR},
    {FAULT_EVENTFD, EMFILE},
    {FAULT_TIMERFD, EMFILE},
    {FAULT_THREAD, EAGAIN},
    {FAULT_READ, EINTR},
    {FAULT_GETADDRINFO, EAI_MEMORY},
    {FAULT_GETADDRINFO, EAI_AGAIN},
    {FAULT_GETADDRINFO, EAI_SYSTEM},
};

/* A port of ours that nobody listens on; the socket keeps it from others. */
static int reserve_port(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0 ||
        getsockname(fd, (struct sockaddr *)&here, &len) != 0)
        abort();
    dead_port = ntohs(here.sin_port);
    return fd;
}

static void torment_all(size_t fault, unsigned most)
{
    unsigned limit = faults[fault].kind == FAULT_MEMORY ? 1000 : most;

    now.kind = faults[fault].kind;
    now.error = faults[fault].error;
    for (size_t s = 0; s < sizeof scenarios / sizeof scenarios[0]; s++) {
        now.scenario = scenarios[s].name;
        for (int mode = 0; mode < 2; mode++) {
            now.for_ever = mode == 1;
            unsigned missed = 0;
            for (now.n = 1; missed < MISSES && now.n <= limit; now.n++)
                missed = torment(scenarios[s].run) ? 0 : missed + 1;
        }
    }
#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */
    torment_children(limit);
#endif
}

int main(int argc, char **argv)
{
    unsigned most = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
    unsigned seen[2], hit[2];

    setvbuf(stdout, NULL, _IOLBF, 0);
    event_set_log_callback(on_log);
    int reserved = reserve_port();
    /* With small descriptors libevent's first tables are large enough. */
    for (int i = 0; i < SPARE_FDS; i++)
        (void)!dup(reserved);
    peer_start(&peer, fault_exempt);
    if (fault_has_memory()) {
        now.scenario = "first use";
        now.kind = FAULT_MEMORY;
        now.error = ENOMEM;
        torment_each(NULL, 1000);
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (faults[i].kind != FAULT_MEMORY || fault_has_memory())
            torment_all(i, most);
    peer_stop(&peer);
    close(reserved);
    for (int memory = 0; memory < 2; memory++)
        fault_sites(memory == 1, &seen[memory], &hit[memory]);
    printf("torture: alloc sites %u/%u, syscall sites %u/%u, runs %llu, "
           "faults %llu, calls %llu,",
           hit[1], seen[1], hit[0], seen[0], (unsigned long long)total.runs,
           (unsigned long long)total.hits, (unsigned long long)total.calls);
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++)
        if (total.outcomes[i] > 0)
            printf(" %llu %s,", (unsigned long long)total.outcomes[i],
                   jsonrpcc_status_text((jsonrpcc_status)i));
    printf(" libevent's lines %u\n", total.log_lines);
    return check_done();
}
