#include "engine/servers_set.h"

#include "engine/chance.h"
#include "engine/subset.h"
#include "wire/pages.h"

#include <stdlib.h>
#include <string.h>

/* The first attempts of new servers are spread over this at most: many clients
 * hear of a server at once. */
enum { MOST_SPREAD_US = 1000000 };

bool jrc_servers_init(struct jrc_servers *servers, size_t max)
{
    memset(servers, 0, sizeof *servers);
    servers->max = max;
    servers->list = jrc_pages_new(max, sizeof *servers->list);
    servers->ready = jrc_pages_new(max, sizeof *servers->ready);
    servers->shares.list = jrc_pages_new(max, sizeof *servers->shares.list);
    servers->subset.order = jrc_pages_new(max, sizeof *servers->subset.order);
    servers->subset.due_us = JRC_NEVER;
    if (servers->list != NULL && servers->ready != NULL &&
        servers->shares.list != NULL && servers->subset.order != NULL)
        return true;
    jrc_servers_clear(servers);
    return false;
}

void jrc_servers_clear(struct jrc_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++) {
        free(servers->list[i].host);
        free(servers->list[i].old_host);
    }
    jrc_pages_free(servers->list, servers->max, sizeof *servers->list);
    jrc_pages_free(servers->ready, servers->max, sizeof *servers->ready);
    jrc_pages_free(servers->shares.list, servers->max,
                   sizeof *servers->shares.list);
    jrc_pages_free(servers->subset.order, servers->max,
                   sizeof *servers->subset.order);
    memset(servers, 0, sizeof *servers);
}

/* ---- which slot is whose ---- */

static int compare(const void *key, const void *element)
{
    return jrc_entry_order(key, *(const struct jrc_entry *const *)element);
}

static struct jrc_entry address_of(const struct jrc_server *server)
{
    return (struct jrc_entry){.host = server->host, .port = server->port};
}

static struct jrc_entry *find(const struct jrc_server_list *list,
                              const struct jrc_server *server)
{
    const struct jrc_entry key = address_of(server);
    struct jrc_entry **found = bsearch(&key, list->by_address, list->count,
                                       sizeof *list->by_address, compare);

    return found != NULL ? *found : NULL;
}

/* When another server may have the slot, at the earliest. */
static uint64_t free_at(const struct jrc_server *server, uint64_t now_us)
{
    return JRC_GONE_US +
           (server->state == JRC_SERVER_GONE ? server->since_us : now_us);
}

/* Give entries their slots: new ones that of nobody.  False: not enough. */
static bool assign(struct jrc_servers *servers, struct jrc_server_list *list,
                   uint64_t now_us, uint64_t *retry_us)
{
    size_t used = servers->count;
    size_t next = 0;

    for (size_t n = 0; n < list->count; n++)
        list->entries[n].slot = -1;
    for (size_t i = 0; i < servers->count; i++) {
        struct jrc_server *server = &servers->list[i];
        struct jrc_entry *entry = find(list, server);
        uint64_t free_us = free_at(server, now_us);
        server->change = entry == NULL ? JRC_LEFT : JRC_KEPT;
        if (entry != NULL)
            entry->slot = (int32_t)i;
        else if (free_us > now_us && free_us < *retry_us)
            *retry_us = free_us;
    }
    for (size_t n = 0; n < list->count; n++) {
        if (list->entries[n].slot >= 0)
            continue;
        while (next < servers->count &&
               (servers->list[next].change == JRC_KEPT ||
                free_at(&servers->list[next], now_us) > now_us))
            next++;
        if (next < servers->count)
            list->entries[n].slot = (int32_t)next++;
        else if (used < servers->max)
            list->entries[n].slot = (int32_t)used++;
        else
            return false;
    }
    return true;
}

/* ---- the change ---- */

/* Whether the slot is, or was, that of the entry's server. */
static bool is_in(const struct jrc_server *server,
                  const struct jrc_entry *entry)
{
    const struct jrc_entry key = address_of(server);

    return key.host != NULL && jrc_entry_order(&key, entry) == 0;
}

/* Other threads read the port between two looks at the host. */
static void put_address(struct jrc_server *server, struct jrc_entry *entry)
{
    free(server->old_host);
    server->old_host = server->host;
    server->host = NULL;
    server->port = entry->port;
    server->host = entry->host;
    entry->host = NULL;
    server->uses += server->old_host != NULL;
}

static void put(struct jrc_servers *servers, struct jrc_entry *entry,
                uint32_t position, uint64_t at_us, uint64_t now_us)
{
    size_t i = (size_t)entry->slot;
    struct jrc_server *server = &servers->list[i];
    bool joins = i >= servers->count || !jrc_server_is_listed(server);

    if (joins && !is_in(server, entry))
        put_address(server, entry);
    server->priority = entry->priority;
    server->weight = entry->weight;
    server->srv_priority = entry->srv_priority;
    server->position = position;
    server->group = entry->group;
    server->name = entry->name;
    server->is_absolute = entry->is_absolute;
    server->once = entry->once;
    server->change = joins ? JRC_JOINED : JRC_KEPT;
    if (joins)
        jrc_servers_join(servers, i, at_us, now_us);
    if (i >= servers->count)
        servers->count = i + 1;
}

/* When a new server is tried first. */
static uint64_t first_us(const struct jrc_servers *servers, uint64_t now_us,
                         uint32_t dice)
{
    uint64_t most =
        servers->base_us < MOST_SPREAD_US ? servers->base_us : MOST_SPREAD_US;

    return servers->ready_count == 0 ? now_us
                                     : now_us + jrc_chance_part(most, dice);
}

bool jrc_servers_set(struct jrc_servers *servers, struct jrc_server_list *list,
                     uint64_t now_us, uint32_t dice, uint64_t *retry_us)
{
    *retry_us = JRC_NEVER;
    if (list->count > servers->max || !assign(servers, list, now_us, retry_us))
        return false;
    for (size_t i = 0; i < servers->count; i++) {
        struct jrc_server *server = &servers->list[i];
        if (server->change == JRC_LEFT && jrc_server_is_listed(server))
            jrc_servers_leave(servers, i, now_us);
        else if (server->change == JRC_LEFT)
            server->change = JRC_KEPT; /* it has left before */
    }
    servers->group_count = list->group_count;
    jrc_servers_regroup(servers);
    for (size_t n = 0; n < list->count; n++) {
        dice = dice * 1664525 + 1013904223;
        put(servers, &list->entries[n], (uint32_t)n,
            first_us(servers, now_us, dice), now_us);
    }
    jrc_subset_rank(servers, now_us);
    jrc_servers_regroup(servers);
    return true;
}
