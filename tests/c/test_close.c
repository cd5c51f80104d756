/* A close that comes while the driver is in a turn. */
#include "check.h"
#include "jsonrpcc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static atomic_bool in_turn, begun;

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Told while the driver lets the engine work: it is not asleep, and so nobody
 * wakes it. */
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

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_a_close_during_a_turn();
    return check_done();
}
