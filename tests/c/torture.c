#include "torture.h"

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SPARE_FDS = 40 };

const struct torture_fault torture_faults[] = {
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

const size_t torture_fault_count =
    sizeof torture_faults / sizeof torture_faults[0];

struct torture_now torture_now;
struct peer torture_peer;
uint64_t torture_last_number;
const jsonrpcc_tls *torture_tls;

static int reserved; /* a socket, for its port */
static uint16_t dead_port;

static struct {
    uint64_t runs, calls, hits;
    uint64_t outcomes[JSONRPCC_EDEADLK + 1];
    unsigned log_lines;
} total;

bool torture_expect(bool ok, const char *file, int line, const char *condition)
{
    if (!check_one(ok, file, line, condition))
        printf("  %s: %s, error %d, call %u%s\n", torture_now.scenario,
               fault_names[torture_now.fault.kind], torture_now.fault.error,
               torture_now.n, torture_now.for_ever ? " and all after" : "");
    return ok;
}

unsigned torture_failures(void)
{
    return check_failures;
}

static void on_log(int severity, const char *text)
{
    (void)severity;
    (void)text;
    total.log_lines++; /* from libevent; a fault may well deserve a message */
}

uint64_t torture_now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

void torture_nap(void)
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

/* ---- servers ------------------------------------------------------------ */

const char *torture_servers(void)
{
    static char servers[60];

    sprintf(servers, "127.0.0.1:%u", torture_peer.port);
    return servers;
}

const char *torture_name(void)
{
    static char servers[60];

    sprintf(servers, "dns4:localhost:%u", torture_peer.port);
    return servers;
}

const char *torture_failover_servers(void)
{
    static char servers[100];

    sprintf(servers, "127.0.0.1:%u,2 localhost:%u,1", dead_port,
            torture_peer.port);
    return servers;
}

/* ---- after the fault ----------------------------------------------------- */

/* Check that it works again: a new call, in a new client if the fault left
 * none. */
void torture_check_recovery(struct torture_run *run)
{
    if (run->client == NULL && !torture_open(run, torture_servers(), 0)) {
        EXPECT(!"a client without faults");
        return;
    }
    jsonrpcc_sync *sync = jsonrpcc_sync_new(run->client);
    EXPECT(sync != NULL);
    char params[32];
    sprintf(params, "[%llu]", (unsigned long long)++torture_last_number);
    /* The peer may only now read a "drop" that timed out. */
    jsonrpcc_status status = jsonrpcc_sync_call(
        sync, "echo", 4, params, strlen(params), 3000,
        JSONRPCC_WAIT_FOR_READY | JSONRPCC_IDEMPOTENT, TORTURE_PATIENCE_MS);
    EXPECT(status == JSONRPCC_OK);
    if (status == JSONRPCC_OK) {
        const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
        EXPECT(peer_says("echo", torture_last_number, outcome->json,
                         outcome->json_len));
    }
    jsonrpcc_sync_free(sync);
}

static void check_outcomes(struct torture_run *run)
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
               peer_saw(&torture_peer, run->calls[i].number) == 0);
        EXPECT(strcmp(run->calls[i].method, "once") == 0 ||
               peer_saw(&torture_peer, run->calls[i].number) <= 3);
        total.outcomes[status]++;
    }
    total.calls += run->accepted;
}

/* The event thread closes the last descriptors after close() has returned. */
static void check_fds(unsigned before)
{
    uint64_t end_ms = torture_now_ms() + TORTURE_PATIENCE_MS;

    while (open_fds() > before && torture_now_ms() < end_ms)
        torture_nap();
    EXPECT(open_fds() <= before);
}

void torture_arm(void)
{
    fault_error(torture_now.fault.error);
    fault_arm(torture_now.fault.kind, torture_now.n, torture_now.for_ever);
}

bool torture_disarm(void)
{
    fault_disarm();
    total.hits += fault_count();
    return fault_count() > 0;
}

bool torture(const struct torture_scenario *scenario)
{
    static struct torture_run run;
    unsigned before = open_fds();

    memset(&run, 0, sizeof run);
    torture_arm();
    scenario->run(&run);
    bool hit = torture_disarm();
    torture_wait(&run, TORTURE_PATIENCE_MS);
    torture_check_recovery(&run);
    EXPECT(jsonrpcc_client_close(run.client, TORTURE_PATIENCE_MS));
    jsonrpcc_client_free(run.client);
    check_outcomes(&run);
    check_fds(before);
    total.runs++;
    return hit;
}

void torture_ran_elsewhere(unsigned connections)
{
    uint64_t end_ms = torture_now_ms() + TORTURE_PATIENCE_MS;

    while (torture_peer.open > connections && torture_now_ms() < end_ms)
        torture_nap();
    EXPECT(torture_peer.open <= connections);
    torture_last_number += 2 * TORTURE_CALLS;
    total.runs++;
}

/* ---- all of it ----------------------------------------------------------- */

/* A port of ours that nobody listens on; the socket keeps others from using
 * it. */
static void reserve_port(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof here;

    reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(reserved, (struct sockaddr *)&here, sizeof here) != 0 ||
        getsockname(reserved, (struct sockaddr *)&here, &len) != 0)
        abort();
    dead_port = ntohs(here.sin_port);
}

void torture_start(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    event_set_log_callback(on_log);
    reserve_port();
    /* With small descriptors, libevent's first tables are large enough. */
    for (int i = 0; i < SPARE_FDS; i++)
        (void)!dup(reserved);
    peer_start(&torture_peer, fault_exempt);
}

static void torment(const struct torture_scenario *scenario,
                    struct torture_range at)
{
    unsigned missed = 0;

    torture_now.scenario = scenario->name;
    for (torture_now.n = at.first;
         missed < TORTURE_MISSES && torture_now.n <= at.last;
         torture_now.n += at.step)
        missed = torture(scenario) ? 0 : missed + 1;
}

void torture_all(struct torture_range allocations, unsigned calls)
{
    const struct torture_range first_calls = {1, 1, calls};

    for (size_t i = 0; i < torture_fault_count; i++) {
        bool memory = torture_faults[i].kind == FAULT_MEMORY;
        if (memory && !fault_has_memory())
            continue;
        torture_now.fault = torture_faults[i];
        for (size_t s = 0; s < torture_scenario_count; s++)
            for (int mode = 0; mode < 2; mode++) {
                torture_now.for_ever = mode == 1;
                torment(&torture_scenarios[s],
                        memory ? allocations : first_calls);
            }
    }
}

int torture_done(const char *word)
{
    unsigned seen[2], hit[2];

    peer_stop(&torture_peer);
    close(reserved);
    for (int memory = 0; memory < 2; memory++)
        fault_sites(memory == 1, &seen[memory], &hit[memory]);
    printf("%s: alloc sites %u/%u, syscall sites %u/%u, runs %llu, "
           "faults %llu, calls %llu,",
           word, hit[1], seen[1], hit[0], seen[0],
           (unsigned long long)total.runs, (unsigned long long)total.hits,
           (unsigned long long)total.calls);
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++)
        if (total.outcomes[i] > 0)
            printf(" %llu %s,", (unsigned long long)total.outcomes[i],
                   jsonrpcc_status_text((jsonrpcc_status)i));
    printf(" libevent's lines %u\n", total.log_lines);
    return check_done();
}
