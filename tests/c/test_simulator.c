/* Years of trouble in seconds: seed after seed through the simulator, the
 * checker behind it, and the checker itself put to the test.
 *
 * Arguments: how many seeds (5000), and the first (1). */
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
    sim_clear(sim);
    free(sim);
    return hash;
}

/* Each kind of broken history must be caught, in histories of many seeds. */
static void test_the_checker(void)
{
    for (size_t m = 0; m < sim_mutant_count; m++) {
        unsigned made = 0, caught = 0;
        for (uint64_t seed = 1; seed <= 60; seed++) {
            struct sim *sim = new_sim();
            size_t at;
            if (sim_run(sim, seed, &at) == NULL &&
                sim_mutants[m].mutate(&sim->history)) {
                made++;
                caught += sim_check(&sim->history, &at) != NULL;
            }
            sim_clear(sim);
            free(sim);
        }
        if (!CHECK(made > 0 && caught == made))
            printf("mutant \"%s\": %u of %u caught\n", sim_mutants[m].name,
                   caught, made);
    }
    printf("checker: %zu kinds of broken histories, all caught: %s\n",
           sim_mutant_count, check_failures == 0 ? "yes" : "no");
}

/* Seeds that failed once. */
static const uint64_t kept[] = {
    1141101, /* a server went on to speak after a reply that was cut */
    166350, /* a better server came up in the step that sent a call elsewhere */
    260112, /* what kept a dead connection ended when the run did */
};

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    if (argc <= 1) {
        test_the_checker();
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
            printf("seed %" PRIu64 " is not the same twice\n", seed);
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
    printf("\n");
    return check_done();
}
