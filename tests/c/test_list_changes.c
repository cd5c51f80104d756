/* The list of servers changes every 20 ms while eight threads make calls, and
 * callbacks make more: each call is answered, and no server has seen one twice.
 *
 * Argument: for how many seconds (3). */
#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef CONNECTIONS /* see test_list_changes_wide.c */
#define CONNECTIONS 1
#define AGE_MS 0
#define CHANGE_MS 20
#define SELDOM 1 /* how many times less often callbacks change the list */
#endif

enum { PEERS = 8, SPELLINGS = 5, SERVERS = PEERS * SPELLINGS, CALLERS = 8 };

/* To the client, each is a server of its own. */
static const char *const spellings[SPELLINGS] = {
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001"};

static struct peer peers[PEERS];
static jsonrpcc_client *client;
static long
    pause_ns; /* between calls of a thread: long runs have no more numbers */
static atomic_bool stop;
static _Atomic uint64_t next_number;
static atomic_uint wrong, changes, added, gone, renewed;

/* ---- lists --------------------------------------------------------------- */

static uint32_t roll(uint32_t *state, uint32_t sides)
{
    *state = *state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)*state * sides >> 32);
}

/* 2 to 40 of the servers, with priorities 1 to 3. */
static void draw(uint32_t *state, char text[SERVERS * 32])
{
    uint32_t count = 2 + roll(state, SERVERS - 1);
    uint32_t first = roll(state, SERVERS);
    int at = 0;

    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = (first + n * 7) % SERVERS; /* 7 and 40 are coprime */
        at += sprintf(text + at, "%s:%u,%u ", spellings[i % SPELLINGS],
                      peers[i / SPELLINGS].port, 1 + roll(state, 3));
    }
}

static void change(uint32_t *state)
{
    char text[SERVERS * 32], why[100];

    draw(state, text);
    if (!CHECK(jsonrpcc_servers_set(client, text, why, sizeof why) ==
               JSONRPCC_OK))
        printf("  %s\n", why);
    atomic_fetch_add(&changes, 1);
}

static void *change_now_and_then(void *arg)
{
    uint32_t state = 1;

    (void)arg;
    while (!stop) {
        change(&state);
        nanosleep(&(struct timespec){.tv_nsec = CHANGE_MS * 1000000L}, NULL);
    }
    return NULL;
}

/* A listener may change it, too. */
static void on_event(void *arg, const jsonrpcc_event *event)
{
    static uint32_t state = 2;

    (void)arg;
    added += event->kind == JSONRPCC_ADDED;
    gone += event->kind == JSONRPCC_GONE;
    renewed += event->kind == JSONRPCC_RENEWED;
    if (event->kind == JSONRPCC_CONNECTED && roll(&state, 50 * SELDOM) == 0)
        change(&state);
}

/* ---- calls --------------------------------------------------------------- */

static void check_outcome(uint64_t number, const jsonrpcc_outcome *outcome)
{
    if (outcome->status == JSONRPCC_OK &&
        peer_says("echo", number, outcome->json, outcome->json_len))
        return;
    if (atomic_fetch_add(&wrong, 1) < 10)
        printf("  call %llu: %s, reason %d, fate %d\n",
               (unsigned long long)number,
               jsonrpcc_status_text(outcome->status), outcome->reason,
               outcome->fate);
}

static void *call(void *arg)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    char params[32];

    (void)arg;
    while (!stop) {
        uint64_t number = ++next_number;
        int len = snprintf(params, sizeof params, "[%llu]",
                           (unsigned long long)number);
        if (number >= PEER_NUMBERS)
            break;
        jsonrpcc_sync_call(sync, "echo", 4, params, (size_t)len, 20000, 0, -1);
        check_outcome(number, jsonrpcc_sync_outcome(sync));
        if (pause_ns > 0)
            nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
    }
    jsonrpcc_sync_free(sync);
    return NULL;
}

/* Calls whose callbacks call again, and change the list now and then. */
static atomic_uint chains, unsent;

static void call_again(void *arg, uint64_t number,
                       const jsonrpcc_outcome *outcome)
{
    static uint32_t state = 3;
    char params[32];

    if (outcome != NULL) {
        check_outcome(number, outcome);
        if (roll(&state, 500 * SELDOM) == 0)
            change(&state);
    }
    jsonrpcc_call next = {.size = sizeof next,
                          .method = "echo",
                          .method_len = 4,
                          .params = params,
                          .timeout_ms = 20000,
                          .done = call_again,
                          .arg = arg,
                          .token = ++next_number};
    next.params_len = (size_t)snprintf(params, sizeof params, "[%llu]",
                                       (unsigned long long)next.token);
    if (!stop && next.token < PEER_NUMBERS &&
        jsonrpcc_request(client, &next, NULL) == JSONRPCC_OK)
        return;
    chains--;
    unsent += next.token < PEER_NUMBERS;
}

/* ---- what it takes ------------------------------------------------------- */

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * 4;
}

static void check_memory(long before_kib, long after_kib)
{
    printf("resident: %ld KiB after a second, %ld KiB in the end\n", before_kib,
           after_kib);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* The peers remember one byte for each call. */
    long remembered_kib = (long)(next_number / 1024) * PEERS;
    CHECK(after_kib - before_kib < 4096 + remembered_kib);
#endif
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
    jsonrpcc_options options = {.size = sizeof options,
                                .reconnect_ms = 5,
                                .connections = CONNECTIONS,
                                .max_connection_age_ms = AGE_MS};
    pthread_t threads[CALLERS + 1];
    pause_ns = seconds > 10 ? 200000 : 0;
    char text[SERVERS * 32];
    uint32_t state = 4;

    for (int i = 0; i < PEERS; i++)
        peer_start(&peers[i], NULL);
    unsigned idle_fds = count_descriptors();
    draw(&state, text);
    options.servers = text;
    if (!CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK))
        return 1;
    jsonrpcc_on_event(client, on_event, NULL);
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&threads[i], NULL, call, NULL);
    pthread_create(&threads[CALLERS], NULL, change_now_and_then, NULL);
    for (chains = 0; chains < (seconds > 10 ? 1 : 20);) {
        chains++;
        call_again(NULL, 0, NULL);
    }
    unsigned most_fds = 0;
    long early_kib = 0;
    for (unsigned n = 0; n < seconds * 10; n++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        unsigned fds = count_descriptors();
        most_fds = fds > most_fds ? fds : most_fds;
        if (n == 10)
            early_kib = resident_kib();
    }
    long late_kib = resident_kib();
    stop = true;
    for (int i = 0; i <= CALLERS; i++)
        pthread_join(threads[i], NULL);
    for (int n = 0; n < 30000 && chains > 0; n++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(chains == 0 && jsonrpcc_client_close(client, 30000));
    jsonrpcc_client_free(client);

    unsigned lost = 0, twice = 0;
    for (uint64_t n = 1; n <= next_number && n < PEER_NUMBERS; n++) {
        unsigned seen = 0;
        for (int i = 0; i < PEERS; i++)
            seen += peer_saw(&peers[i], n);
        lost += seen == 0; /* or was never sent, at the end of a chain */
        twice += seen > 1;
    }
    printf(
        "%llu calls, %u changes, %u servers added, %u gone, %u connections "
        "renewed; %u wrong, %u lost, %u twice; descriptors: %u idle, at most "
        "%u\n",
        (unsigned long long)next_number, changes, added, gone, renewed, wrong,
        lost, twice, idle_fds, most_fds);
    CHECK(wrong == 0 && twice == 0 && lost == unsent && next_number > 100);
    CHECK(added > 10 && gone > 10 && changes > seconds * 200 / CHANGE_MS);
    CHECK(AGE_MS == 0 || renewed > 0);
    /* Both ends of each connection, some of them being closed, and the client's
     * own. */
    CHECK(most_fds <=
          idle_fds + (CONNECTIONS + (AGE_MS > 0)) * 2 * 2 * SERVERS + 8);
    if (seconds >= 2)
        check_memory(early_kib, late_kib);
    /* The peers' ends. */
    CHECK(count_descriptors() <= idle_fds + CONNECTIONS * 2 * SERVERS);
    for (int i = 0; i < PEERS; i++)
        peer_stop(&peers[i]);
    return check_done();
}
