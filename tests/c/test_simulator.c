/* Hours of faults in seconds: runs the simulator with one seed after another,
 * checks each history, and checks that the checkers catch broken ones.
 *
 * Arguments: how many seeds (5000), and the first (1).  Without arguments, the
 * checkers and the seeds that failed once are tested, too. */
#include "fault_here.h"

#include "check.h"
#include "sim.h"
#include "sim_mutants.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    uint64_t seeds, calls, years_us;
    uint64_t outcomes[JSONRPCC_EDEADLK + 1];
    uint64_t faults[SIM_FAULTS];
    uint64_t hello_faults[SIM_HELLO_FAULTS];
    uint64_t lookups, lookups_failed, list_changes;
    uint64_t name_faults[SIM_NAME_FAULTS];
    uint64_t hellos, hellos_failed, pings, pings_failed;
} total;

static void explain(uint64_t seed, const struct sim *sim, const char *rule,
                    size_t at)
{
    printf("seed %" PRIu64 ": %s (record %zu of %zu)\n", seed, rule, at,
           sim->history.count);
    if (at < sim->history.count)
        sim_history_print(&sim->history, sim->history.list[at].token);
}

static struct sim *new_sim(void)
{
    struct sim *sim = calloc(1, sizeof *sim);

    if (sim == NULL)
        abort();
    if (fault_has_memory())
        sim->memory = fault_memory_rate;
    return sim;
}

static uint64_t run(uint64_t seed)
{
    struct sim *sim = new_sim();
    size_t at = SIZE_MAX;
    const char *rule = sim_run(sim, seed, &at);

    if (!CHECK(rule == NULL))
        explain(seed, sim, rule, at);
    uint64_t hash = sim_history_hash(&sim->history);
    total.seeds++;
    total.calls += sim->submitted;
    total.years_us += sim->now_us;
    for (size_t i = 0; i <= JSONRPCC_EDEADLK; i++)
        total.outcomes[i] += sim->outcomes[i];
    for (size_t i = 0; i < SIM_FAULTS; i++)
        total.faults[i] += sim->faults[i];
    for (size_t i = 0; i < SIM_HELLO_FAULTS; i++)
        total.hello_faults[i] += sim->hello.faults[i];
    for (size_t i = 0; i < SIM_NAME_FAULTS; i++)
        total.name_faults[i] += sim->names.faults[i];
    total.lookups += jrc_read(&sim->engine.counters.lookups);
    total.lookups_failed += jrc_read(&sim->engine.counters.lookups_failed);
    total.list_changes += jrc_read(&sim->engine.counters.list_changes);
    total.hellos += jrc_read(&sim->engine.counters.hellos);
    total.hellos_failed += jrc_read(&sim->engine.counters.hellos_failed);
    total.pings += jrc_read(&sim->engine.counters.pings);
    total.pings_failed += jrc_read(&sim->engine.counters.pings_failed);
    sim_clear(sim);
    free(sim);
    return hash;
}

/* Break the histories of many seeds in each way; the checker must notice. */
static void test_a_checker(const struct sim_mutant *mutants, size_t count,
                           const char *(*check)(const struct sim_history *,
                                                size_t *))
{
    for (size_t m = 0; m < count; m++) {
        unsigned made = 0, caught = 0;
        for (uint64_t seed = 1; seed <= 60; seed++) {
            struct sim *sim = new_sim();
            size_t at;
            if (sim_run(sim, seed, &at) == NULL &&
                mutants[m].mutate(&sim->history)) {
                made++;
                caught += check(&sim->history, &at) != NULL;
            }
            sim_clear(sim);
            free(sim);
        }
        if (!CHECK(made > 0 && caught == made))
            printf("mutant \"%s\": %u of %u caught\n", mutants[m].name, caught,
                   made);
    }
}

static void test_the_checkers(void)
{
    test_a_checker(sim_mutants, sim_mutant_count, sim_check);
    test_a_checker(sim_name_mutants, sim_name_mutant_count, sim_check_names);
    printf("checkers: %zu kinds of broken histories, all caught: %s\n",
           sim_mutant_count + sim_name_mutant_count,
           check_failures == 0 ? "yes" : "no");
}

/* Seeds that failed once, through a fault of the engine or of a checker. */
static const uint64_t kept[] = {
    1141101, /* a server sent more after a reply that was cut */
    166350, /* a better server came up in the step that sent a call elsewhere */
    2124680, /* a connection that stayed up after its trial counted as proved */
    3006899, /* a call on one connection kept another one, which was dead */
    2109432, /* all trials of a suspect went to its dead connection */
    260112, /* the call that kept a dead connection lasted as long as the run */
    400074791, /* a dead connection got only one call in 27 */
    500020935, /* a suspect was trusted and lost in the same step */
    500023418, /* the call that kept a dead connection outlasted all others */
    5411,      /* a trial timed out before it had left, and took no time */
    9004008,  /* a call was lost on a connection that had been silent before its
                 server was suspected */
    20002064, /* a former suspect had to prove itself when it was listed again
               */
    400001862, /* a connection to a server on trial did not have to prove itself
                */
};

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    if (argc <= 1) {
        test_the_checkers();
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            run(kept[i]);
    }
    unsigned repeated = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        uint64_t hash = run(seed);
        if (seed % 20 != 0)
            continue;
        repeated++;
        if (!CHECK(run(seed) == hash))
            printf("seed %" PRIu64 ": two runs differ\n", seed);
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " calls, %" PRIu64
           " simulated hours, %u seeds repeated\noutcomes:",
           total.seeds, total.calls, total.years_us / 3600000000, repeated);
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++)
        if (total.outcomes[i] > 0)
            printf(" %" PRIu64 " %s;", total.outcomes[i],
                   i == 0 ? "ok" : sim_status_names[i]);
    printf("\nfaults:");
    total.faults[SIM_MEMORY] = fault_count();
    for (int i = 0; i < SIM_FAULTS; i++)
        printf(" %" PRIu64 " %s;", total.faults[i], sim_fault_names[i]);
    printf("\nhellos: %" PRIu64 " sent, %" PRIu64 " failed; %" PRIu64
           " pings, %" PRIu64 " failed; faults:",
           total.hellos, total.hellos_failed, total.pings, total.pings_failed);
    for (int i = 0; i < SIM_HELLO_FAULTS; i++)
        printf(" %" PRIu64 " %s;", total.hello_faults[i],
               sim_hello_fault_names[i]);
    printf("\nlookups: %" PRIu64 ", %" PRIu64 " failed; %" PRIu64
           " changes; faults:",
           total.lookups, total.lookups_failed, total.list_changes);
    for (int i = 0; i < SIM_NAME_FAULTS; i++)
        printf(" %" PRIu64 " %s;", total.name_faults[i],
               sim_name_fault_names[i]);
    printf("\n");
    return check_done();
}
