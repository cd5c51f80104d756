#include "engine/discovered.h"

#include "engine/rendezvous.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a server of a name is shown: the name, and which of its addresses. */
static char *host_of(const struct jrc_name *name,
                     const struct jrc_target *target)
{
    size_t size = strlen(name->entry->host) + strlen(target->host) + 2;
    char *text = NULL;

    if (name->entry->kind == JRC_ENTRY_SRV)
        return strdup(target->host);
    text = malloc(size);
    if (text != NULL)
        snprintf(text, size, "%s/%s", name->entry->host, target->host);
    return text;
}

static bool add_target(struct jrc_server_list *list,
                       const struct jrc_name *name,
                       const struct jrc_target *target)
{
    struct jrc_entry *entry = jrc_server_list_add(list);

    if (entry == NULL)
        return false;
    entry->host = host_of(name, target);
    entry->port = target->port;
    entry->priority = name->entry->priority;
    entry->srv_priority = target->priority;
    entry->weight = target->share * name->entry->weight; /* one of them is 1 */
    entry->name = name->id;
    entry->is_absolute = name->entry->kind == JRC_ENTRY_SRV;
    return entry->host != NULL;
}

static bool add_server(struct jrc_server_list *list,
                       const struct jrc_entry *server)
{
    struct jrc_entry *entry = jrc_server_list_add(list);

    if (entry == NULL)
        return false;
    *entry = *server;
    entry->host = strdup(server->host);
    return entry->host != NULL;
}

/* All of them, of which some may be there twice. */
static bool add_all(const struct jrc_discovery *discovery,
                    struct jrc_server_list *list)
{
    size_t next = 0;

    for (size_t i = 0; i < discovery->entries.count; i++) {
        const struct jrc_entry *entry = &discovery->entries.entries[i];
        if (entry->kind == JRC_ENTRY_SERVER) {
            if (!add_server(list, entry))
                return false;
            continue;
        }
        const struct jrc_name *name = &discovery->names[next++];
        for (size_t k = 0; k < name->answer.count; k++)
            if (!add_target(list, name, &name->answer.targets[k]))
                return false;
    }
    return true;
}

static int larger_first(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x;
    uint64_t b = *(const uint64_t *)y;

    return (a < b) - (a > b);
}

/* Leave out servers of names until the list is as long as it may be.  Each
 * client chooses for itself, and the same ones again and again.  False: out of
 * memory. */
static bool cut(const struct jrc_discovery *discovery,
                struct jrc_server_list *list, size_t *left_out)
{
    size_t count = list->count, room = discovery->max, ranked = 0;
    uint64_t *ranks = calloc(count + 1, sizeof *ranks);

    *left_out = 0;
    if (ranks == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (list->entries[i].is_written && room > 0)
            room--;
        else
            ranks[ranked++] =
                jrc_rendezvous(discovery->seed, &list->entries[i]);
    }
    qsort(ranks, ranked, sizeof *ranks, larger_first);
    for (size_t i = 0; i < count; i++) {
        struct jrc_entry *entry = &list->entries[i];
        if (ranked <= room || entry->is_written ||
            (room > 0 &&
             jrc_rendezvous(discovery->seed, entry) >= ranks[room - 1]))
            continue;
        jrc_server_list_drop(entry);
        ++*left_out;
    }
    free(ranks);
    return true;
}

bool jrc_discovery_list(const struct jrc_discovery *discovery,
                        struct jrc_server_list *list, size_t *left_out)
{
    memset(list, 0, sizeof *list);
    if (add_all(discovery, list) && jrc_server_list_finish(list) &&
        jrc_server_list_merge(list) && cut(discovery, list, left_out) &&
        jrc_server_list_finish(list))
        return true;
    jrc_server_list_clear(list);
    return false;
}
