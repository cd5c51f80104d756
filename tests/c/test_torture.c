/* Every allocation and every system call of the client made to fail, once and
 * from then on, at its first, second, third call and so forth.  See torture.h.
 *
 * Arguments: the last n to fail of a system call (3); of an allocation it is
 * the last that there is. */
#include "fault_here.h"

#include "torture.h"

static void torment(const struct torture_scenario *scenario, unsigned most)
{
    unsigned missed = 0;

    torture_now.scenario = scenario->name;
    for (torture_now.n = 1; missed < TORTURE_MISSES && torture_now.n <= most;
         torture_now.n++)
        missed = torture(scenario) ? 0 : missed + 1;
}

int main(int argc, char **argv)
{
    unsigned most = argc > 1 ? (unsigned)atoi(argv[1]) : 3;

    torture_start();
    for (size_t i = 0; i < torture_fault_count; i++) {
        bool memory = torture_faults[i].kind == FAULT_MEMORY;
        if (memory && !fault_has_memory())
            continue;
        torture_now.fault = torture_faults[i];
        for (size_t s = 0; s < torture_scenario_count; s++)
            for (int mode = 0; mode < 2; mode++) {
                torture_now.for_ever = mode == 1;
                torment(&torture_scenarios[s], memory ? 1000 : most);
            }
    }
    return torture_done("torture");
}
