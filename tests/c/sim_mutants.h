/* Ways to break a good history, each of which the checker must catch. */

#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include "sim_check.h"

struct sim_mutant {
    const char *name;
    bool (*mutate)(struct sim_history *history); /* false: there is no place */
};

extern const struct sim_mutant sim_mutants[];
extern const size_t sim_mutant_count;
extern const char *const sim_status_names[];

#endif
