/* All counters of a core. */

#ifndef JRC_STATS_H
#define JRC_STATS_H

#include "client/core.h"

/* Their current values; see jsonrpcc_client_stats(). */
void jrc_core_stats(struct jrc_core *core, jsonrpcc_stats *stats);

#endif
