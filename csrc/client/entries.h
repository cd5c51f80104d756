/* What is known of the names in the list, for any thread to read. */

#ifndef JRC_ENTRIES_H
#define JRC_ENTRIES_H

#include "engine/discovery.h"
#include "jsonrpcc.h"

#include <stddef.h>

/* A copy of what the leader knows; the core's lock guards it. */
struct jrc_entries {
    jsonrpcc_entry_info *list;
    size_t count;
    uint64_t version;      /* of the discovery that it was copied from */
    uint64_t list_changes; /* how many were in force when it was copied */
};

/* Without memory, the copy stays as it is. */
void jrc_entries_copy(struct jrc_entries *entries,
                      const struct jrc_discovery *discovery);

/* Whether each name and file has been found once. */
bool jrc_entries_are_found(const struct jrc_entries *entries);

#endif
