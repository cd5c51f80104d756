/* A table of servers for tests, from a servers string. */
#ifndef TABLE_OF_H
#define TABLE_OF_H

#include "engine/servers_set.h"

/* False: the text is wrong, or out of memory. */
static inline bool table_of(struct jrc_servers *servers, const char *text,
                            size_t max)
{
    struct jrc_server_list list;
    char why[200];
    uint64_t never;

    if (jrc_servers_parse(&list, text, why, sizeof why) != 0)
        return false;
    bool is_made = jrc_servers_init(servers, max) &&
                   jrc_servers_set(servers, &list, 0, 0, &never);
    jrc_server_list_clear(&list);
    return is_made;
}

#endif
