/* Many clients in one process: they and their threads are counted, whatever
 * becomes of them, and the more of these there are, the less often they check
 * on their clients. */
#include "client/fork.h"
#include "client/leadership.h"
#include "peer_client.h"

#include <sys/wait.h>

enum { CLIENTS = 12, OTHERS = 120, TIMEOUT_MS = 5 };

static void test_a_loop_may_be_unattended_for_longer_among_many_threads(void)
{
    static const struct {
        unsigned threads;
        uint64_t us;
    } times[] = {{0, 2000},    {1, 2000},    {8, 2000},    {9, 2250},
                 {100, 25000}, {200, 50000}, {201, 50000}, {UINT32_MAX, 50000}};

    static struct jrc_core own, shared = {.leadership.is_shared = true};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        jrc_own_threads = times[i].threads;
        if (!CHECK(jrc_unattended_us(&own) == times[i].us))
            printf("  of %u\n", times[i].threads);
        CHECK(jrc_unattended_us(&own) < JRC_IDLE_US);
        CHECK(jrc_unattended_us(&shared) == times[0].us);
    }
    jrc_own_threads = 0;
}

static void check_child(unsigned expected)
{
    if (!check_may_fork())
        return;
    pid_t child = fork();
    if (child == 0) {
        CHECK(jrc_fork_count() == expected && jrc_own_threads == expected);
        check_exit(check_failures != 0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void test_clients_are_counted(void)
{
    jsonrpcc_client *clients[CLIENTS], *failed = NULL;
    jsonrpcc_options wrong = {.size = sizeof wrong, .servers = "nonsense:"};
    char why[200];

    for (unsigned i = 0; i < CLIENTS; i++) {
        CHECK(jrc_fork_count() == i && jrc_own_threads == i / 2);
        clients[i] = new_client((jsonrpcc_options){
            .flags = i % 2 == 0 ? JSONRPCC_SHARED_THREAD : 0});
    }
    CHECK(jrc_fork_count() == CLIENTS && jrc_own_threads == CLIENTS / 2);
    CHECK(jsonrpcc_client_new(&wrong, &failed, why, sizeof why) != JSONRPCC_OK);
    /* It never was a client. */
    CHECK(jrc_fork_count() == CLIENTS && jrc_own_threads == CLIENTS / 2);
    check_child(0); /* they are the parent's */
    for (unsigned i = 0; i < CLIENTS; i++)
        end_client(clients[i]);
    for (int i = 0; i < 5000 && jrc_fork_count() > 0; i++)
        nap(); /* a thread of theirs may be the last to go */
    CHECK(jrc_fork_count() == 0 && jrc_own_threads == 0);
}

static _Atomic uint64_t ended_us; /* how long the call took; 0: it has not */

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    CHECK(outcome->status == JSONRPCC_ETIMEDOUT);
    ended_us = outcome->elapsed_us;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The usual time that a call with this timeout takes, if another thread has
 * just made a blocking call, and left the loop. */
static uint64_t time_out_us(uint32_t flags)
{
    enum { ROUNDS = 21 };
    uint64_t took_us[ROUNDS];
    jsonrpcc_client *client = new_client((jsonrpcc_options){.flags = flags});
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_call call = peer_call("mute", TIMEOUT_MS, on_done, NULL);

    for (int i = 0; i < ROUNDS; i++) {
        ended_us = 0;
        CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
        CHECK(jsonrpcc_sync_call(sync, "echo", 4, "[2]", 3, 20000, 0, -1) ==
              JSONRPCC_OK);
        for (int n = 0; n < 20000 && ended_us == 0; n++)
            nap();
        took_us[i] = ended_us;
    }
    jsonrpcc_sync_free(sync);
    end_client(client);
    qsort(took_us, ROUNDS, sizeof took_us[0], compare);
    return took_us[ROUNDS / 2];
}

static void test_timeouts_are_in_time_among_many(void)
{
    jsonrpcc_client *clients[OTHERS];
    jsonrpcc_options idle = {.servers = "127.0.0.1:1",
                             .reconnect_attempts = -1,
                             .flags = JSONRPCC_SHARED_THREAD};

    for (int i = 0; i < OTHERS; i++)
        clients[i] = new_client(idle);
    for (uint32_t flags = 0; flags <= JSONRPCC_SHARED_THREAD;
         flags += JSONRPCC_SHARED_THREAD) {
        uint64_t us = time_out_us(flags);
        if (!CHECK(us < 15000)) /* what as many own threads would allow: 30 */
            printf("  %u us with flags %u\n", (unsigned)us, (unsigned)flags);
    }
    for (int i = 0; i < OTHERS; i++)
        end_client(clients[i]);
}

int main(void)
{
    begin_peer();
    test_a_loop_may_be_unattended_for_longer_among_many_threads();
    test_clients_are_counted();
    test_timeouts_are_in_time_among_many();
    end_peer();
    return check_done();
}
