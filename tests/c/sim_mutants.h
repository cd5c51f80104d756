/* Ways to break a good history.  The checker must catch each of them. */

#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include "sim_check.h"

struct sim_mutant {
    const char *name;
    bool (*mutate)(
        struct sim_history *history); /* false: it has no place for this */
};

/* Returns the first record from start on with that kind and status (-1: any);
 * h->count if there is none. */
size_t sim_mutant_find(const struct sim_history *h, size_t start, int kind,
                       int status);

extern const struct sim_mutant sim_mutants[];
extern const size_t sim_mutant_count;
extern const struct sim_mutant sim_name_mutants[]; /* for sim_check_names() */
extern const size_t sim_name_mutant_count;
extern const char *const sim_status_names[];

#endif
