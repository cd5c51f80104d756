/* Ways to break a good history, each of which the checker must catch. */

#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include "sim_check.h"

struct sim_mutant {
    const char *name;
    bool (*mutate)(struct sim_history *history); /* false: there is no place */
};

/* The first record from start on of that kind and status (-1: any); the count:
 * there is none. */
size_t sim_mutant_find(const struct sim_history *h, size_t start, int kind,
                       int status);

extern const struct sim_mutant sim_mutants[];
extern const size_t sim_mutant_count;
extern const struct sim_mutant sim_name_mutants[]; /* for sim_check_names() */
extern const size_t sim_name_mutant_count;
extern const char *const sim_status_names[];

#endif
