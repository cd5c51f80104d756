/* All counters of a core. */

#ifndef JRC_STATS_H
#define JRC_STATS_H

#include "client/core.h"

/* Their current values; see jsonrpcc_client_stats(). */
/* methods: how many there are with a tally of their own. */
void jrc_core_stats(struct jrc_core *core, uint32_t methods,
                    jsonrpcc_stats *stats);

/* Everything but the name. */
void jrc_core_method(const struct jrc_core *core, uint32_t method,
                     jsonrpcc_method_info *info);

#endif
