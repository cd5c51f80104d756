/* As test_torture.c, in child processes: where an inherited client is opened
 * again, and where everything that libraries do only once is still to be done.
 *
 * Arguments: the last n to fail of a system call (3). */
#include "fault_here.h"

#include "check.h"
#include "torture.h"

#include <sys/wait.h>

/* The first use of an inherited client, under a fault. */
static bool reopen(jsonrpcc_client *client)
{
    struct torture_run run = {.client = client};

    torture_arm();
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    bool hit = torture_disarm();
    jsonrpcc_sync_free(sync);
    torture_check_recovery(&run);
    EXPECT(jsonrpcc_client_close(client, TORTURE_PATIENCE_MS));
    return hit;
}

static bool first_use(void)
{
    for (size_t s = 0; s < torture_scenario_count; s++)
        if (strcmp(torture_scenarios[s].name, "failover") == 0)
            return torture(&torture_scenarios[s]);
    abort();
}

/* Returns whether the fault occurred at all.  client: the one to inherit, or
 * NULL. */
static bool torment_child(jsonrpcc_client *client)
{
    unsigned connections = torture_peer.open;
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        unsigned failures = torture_failures();
        bool hit = client != NULL ? reopen(client) : first_use();
        fflush(stdout);
        check_exit(torture_failures() > failures ? 2 : hit);
    }
    EXPECT(child > 0 && waitpid(child, &status, 0) == child);
    torture_ran_elsewhere(connections);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void torment_children(jsonrpcc_client *client, unsigned most)
{
    for (int mode = 0; mode < 2; mode++) {
        unsigned missed = 0;
        torture_now.for_ever = mode == 1;
        for (torture_now.n = 1;
             missed < TORTURE_MISSES && torture_now.n <= most; torture_now.n++)
            missed = torment_child(client) ? 0 : missed + 1;
    }
}

static void torment_inherited(unsigned most)
{
    struct torture_run run = {0};

    torture_now.scenario = "fork";
    if (!torture_open(&run, torture_servers(), 0)) {
        EXPECT(!"a client without faults");
        return;
    }
    torture_check_recovery(&run); /* connected: the peer rests from now on */
    for (size_t i = 0; i < torture_fault_count; i++) {
        bool memory = torture_faults[i].kind == FAULT_MEMORY;
        torture_now.fault = torture_faults[i];
        torment_children(run.client, memory ? 1000 : most);
    }
    torture_check_recovery(&run); /* the parent did not notice */
    jsonrpcc_client_close(run.client, TORTURE_PATIENCE_MS);
    jsonrpcc_client_free(run.client);
}

int main(int argc, char **argv)
{
    unsigned most = argc > 1 ? (unsigned)atoi(argv[1]) : 3;

    torture_start();
    if (fault_has_memory()) { /* TSan does not like threads in children */
        torture_now.scenario = "first use";
        torture_now.fault = torture_faults[0];
        torment_children(NULL, 1000);
        torment_inherited(most);
    }
    return torture_done("torture of children");
}
