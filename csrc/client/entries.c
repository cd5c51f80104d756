#include "client/entries.h"

#include "engine/files.h"

#include <stdio.h>
#include <stdlib.h>

static jsonrpcc_entry_info describe(const struct jrc_name *name)
{
    jsonrpcc_entry_info info = {
        .id = name->id,
        .priority = name->entry->priority,
        .servers = (uint32_t)jrc_name_count(name),
        .reason = name->reason,
        .ttl_s = name->answer.ttl_s,
        .lookups = name->lookups,
        .lookups_failed = name->failed,
        .asked_us = name->asked_us,
        .found_us = name->found_us,
    };

    jrc_entry_print(name->entry, info.text, sizeof info.text);
    if (name->file != NULL)
        snprintf(info.why, sizeof info.why, "%s", name->file->why);
    return info;
}

void jrc_entries_copy(struct jrc_entries *entries,
                      const struct jrc_discovery *discovery)
{
    size_t count = discovery->count;
    jsonrpcc_entry_info *list =
        reallocarray(entries->list, count + 1, sizeof *list);

    if (list == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        list[i] = describe(&discovery->names[i]);
    entries->list = list;
    entries->count = count;
    entries->version = discovery->version;
}

bool jrc_entries_are_found(const struct jrc_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->list[i].found_us == 0)
            return false;
    return true;
}
