/* The counters of a client, read while calls end: between two readings,
 * whatever was read has advanced. */
#include "engine/counters.h"
#include "peer_client.h"

static uint64_t read_in_motion(const _Atomic uint64_t *counter)
{
    uint64_t value = jrc_read(counter);

    jrc_add((_Atomic uint64_t *)counter, 1);
    return value;
}

void stats_in_motion(jsonrpcc_client *client, jsonrpcc_stats *stats,
                     size_t size);
bool method_in_motion(jsonrpcc_client *client, uint16_t method_id,
                      jsonrpcc_method_info *info, size_t size);
uint64_t bound_in_motion(uint32_t bucket);

#define jrc_read read_in_motion
#define jsonrpcc_client_stats stats_in_motion
#define jsonrpcc_method_get method_in_motion
#define jsonrpcc_latency_bound_us bound_in_motion
#include "client/stats.c"
#undef jrc_read

enum { OUTCOMES = JSONRPCC_EDEADLK + 1 };

static jsonrpcc_client *client;
static struct jrc_tally *tally; /* of the methods without a number */

static uint64_t count(int outcome)
{
    return jrc_read(&tally->outcomes[outcome]);
}

/* A client in which 100 calls ended by outcome 0, 101 by outcome 1 ... */
static void begin(void)
{
    client = new_client((jsonrpcc_options){0});
    tally = &jrc_client_core(client)->engine.tallies[0];
    for (int i = 0; i < OUTCOMES; i++)
        jrc_add(&tally->outcomes[i], 100 + (uint64_t)i);
}

/* Each outcome was read once. */
static void check_read_once(void)
{
    for (int i = 0; i < OUTCOMES; i++)
        if (!CHECK(count(i) == 101 + (uint64_t)i))
            printf("  outcome %d\n", i);
}

/* Calls that ended in other ways are calls less these three: a counter that
 * must never shrink. */
static void test_the_calls_of_a_method_are_the_sum_of_its_outcomes(void)
{
    jsonrpcc_method_info info;
    uint64_t calls = 0;

    begin();
    for (int i = 0; i < OUTCOMES; i++)
        calls += count(i);
    CHECK(method_in_motion(client, 0, &info, sizeof info));
    CHECK(info.calls == calls);
    CHECK(info.ok == 100 + JSONRPCC_OK);
    CHECK(info.remote_errors == 100 + JSONRPCC_EREMOTE);
    CHECK(info.timeouts == 100 + JSONRPCC_ETIMEDOUT);
    check_read_once();
    end_client(client);
}

static void test_the_outcomes_of_a_client(void)
{
    jsonrpcc_stats stats;

    begin();
    stats_in_motion(client, &stats, sizeof stats);
    CHECK(stats.ok == 100 + JSONRPCC_OK);
    CHECK(stats.timeouts == 100 + JSONRPCC_ETIMEDOUT);
    CHECK(stats.closed == 100 + JSONRPCC_ECLOSED);
    for (int i = 0; i < OUTCOMES; i++) /* some are the outcome of no call */
        CHECK(count(i) <= 101 + (uint64_t)i);
    end_client(client);
}

int main(void)
{
    begin_peer();
    test_the_calls_of_a_method_are_the_sum_of_its_outcomes();
    test_the_outcomes_of_a_client();
    end_peer();
    return check_done();
}
