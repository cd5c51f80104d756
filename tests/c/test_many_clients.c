/* Many clients in one process: they are counted, whatever becomes of them, and
 * the more there are, the less often their watchdogs check on them. */
#include "client/fork.h"
#include "client/leadership.h"
#include "peer_client.h"

#include <sys/wait.h>

enum { CLIENTS = 12 };

static void test_a_loop_may_be_unattended_for_longer_among_many(void)
{
    static const struct {
        unsigned clients;
        uint64_t us;
    } times[] = {{0, 2000},    {1, 2000},    {8, 2000},    {9, 2250},
                 {100, 25000}, {200, 50000}, {201, 50000}, {UINT32_MAX, 50000}};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (!CHECK(jrc_unattended_us(times[i].clients) == times[i].us))
            printf("  of %u\n", times[i].clients);
    CHECK(jrc_unattended_us(200) < JRC_IDLE_US);
}

static void check_child(unsigned expected)
{
    if (!check_may_fork())
        return;
    pid_t child = fork();
    if (child == 0) {
        CHECK(jrc_fork_count() == expected);
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
        CHECK(jrc_fork_count() == i);
        clients[i] = new_client((jsonrpcc_options){0});
    }
    CHECK(jrc_fork_count() == CLIENTS);
    CHECK(jsonrpcc_client_new(&wrong, &failed, why, sizeof why) != JSONRPCC_OK);
    CHECK(jrc_fork_count() == CLIENTS); /* it never was a client */
    check_child(0);                     /* they are the parent's */
    for (unsigned i = 0; i < CLIENTS; i++)
        end_client(clients[i]);
    for (int i = 0; i < 5000 && jrc_fork_count() > 0; i++)
        nap(); /* a thread of theirs may be the last to go */
    CHECK(jrc_fork_count() == 0);
}

int main(void)
{
    begin_peer();
    test_a_loop_may_be_unattended_for_longer_among_many();
    test_clients_are_counted();
    end_peer();
    return check_done();
}
