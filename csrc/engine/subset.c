#include "engine/subset.h"

#include "engine/rendezvous.h"

#include <stdlib.h>

void jrc_subset_set_up(struct jrc_servers *servers, uint32_t most,
                       uint64_t seed, uint64_t patience_us)
{
    servers->subset.most = most;
    servers->subset.seed = seed;
    servers->subset.patience_us = patience_us;
    servers->subset.due_us = JRC_NEVER;
}

/* What is known of a group while it is looked at.  The first most of its
 * servers are the subset. */
struct group {
    struct jrc_ranked *order;
    size_t count;
    size_t used;    /* no spares */
    size_t good;    /* those that serve ... */
    size_t fresh;   /* ... whose first attempt is under way ... */
    size_t waiting; /* ... or that have not been down for long */
    size_t settled; /* of the subset: UP for long enough */
};

static bool is_used(const struct jrc_server *server)
{
    return (!server->spare && server->move != JRC_RELEASED) ||
           server->move == JRC_RETURNS;
}

static bool is_good(const struct jrc_server *server)
{
    return server->state == JRC_SERVER_UP ||
           server->state == JRC_SERVER_PROVING;
}

/* ---- what there is to do ---- */

static void note_due(struct jrc_servers *servers, uint64_t at_us)
{
    if (at_us < servers->subset.due_us)
        servers->subset.due_us = at_us;
}

/* Connections come into it: as soon as the engine has its turn. */
static void move(struct jrc_servers *servers, struct jrc_server *server,
                 enum jrc_move to)
{
    server->move = to;
    note_due(servers, 0);
}

static void use(struct jrc_servers *servers, struct jrc_server *server,
                uint64_t now_us)
{
    server->tried = false; /* calls without a server wait for it */
    note_due(servers, 0);
    if (server->state == JRC_SERVER_LEAVING) {
        server->move = JRC_RETURNS;
        return;
    }
    atomic_store_explicit(&server->spare, false, memory_order_relaxed);
    server->turned_us = now_us;
    if (server->next_us == JRC_NEVER)
        server->next_us = now_us;
}

/* ---- a group ---- */

static struct jrc_server *server_at(const struct jrc_servers *servers,
                                    const struct group *group, size_t n)
{
    return &servers->list[group->order[n].server];
}

static void use_subset(struct jrc_servers *servers, const struct group *group,
                       uint64_t now_us)
{
    for (size_t n = 0; n < group->count && n < servers->subset.most; n++)
        if (!is_used(server_at(servers, group, n)))
            use(servers, server_at(servers, group, n), now_us);
}

static void count(struct jrc_servers *servers, struct group *group,
                  uint64_t now_us)
{
    for (size_t n = 0; n < group->count; n++) {
        const struct jrc_server *server = server_at(servers, group, n);
        if (!is_used(server))
            continue;
        group->used++;
        if (server->move == JRC_RETURNS) {
            group->fresh++;
            continue;
        }
        uint64_t for_us =
            is_good(server) ? servers->cap_us : servers->subset.patience_us;
        bool is_long = now_us - server->turned_us >= for_us;
        if (!is_long)
            note_due(servers, server->turned_us + for_us);
        group->settled += n < servers->subset.most && is_long &&
                          server->state == JRC_SERVER_UP;
        if (is_good(server))
            group->good++;
        else if (!is_long && server->tried)
            group->waiting++;
        else if (!is_long)
            group->fresh++;
    }
}

/* Those that are not needed any more: of the ones that serve there are as many
 * as servers of the subset have yet to settle; of others, none if enough
 * serve. */
static void release(struct jrc_servers *servers, struct group *group)
{
    size_t most = servers->subset.most, kept = 0;

    for (size_t n = most; n < group->count; n++) {
        struct jrc_server *server = server_at(servers, group, n);
        if (!is_used(server) || !is_good(server) ||
            group->settled + kept++ < most)
            continue;
        move(servers, server, JRC_RELEASED);
        group->good--;
    }
    for (size_t n = most; n < group->count; n++) {
        struct jrc_server *server = server_at(servers, group, n);
        if (is_used(server) && !is_good(server) && group->good >= most)
            move(servers, server, JRC_RELEASED);
    }
}

static void replace(struct jrc_servers *servers, const struct group *group,
                    uint64_t now_us)
{
    size_t most = servers->subset.most;
    bool is_left = group->good + group->fresh > 0;
    size_t have = group->good + group->fresh + (is_left ? group->waiting : 0);
    size_t want = is_left || group->used < most ? most : group->used;

    for (size_t n = most; n < group->count && have < want; n++) {
        if (is_used(server_at(servers, group, n)))
            continue;
        use(servers, server_at(servers, group, n), now_us);
        have++;
    }
}

/* ---- all of them ---- */

void jrc_subset_update(struct jrc_servers *servers, uint64_t now_us)
{
    struct jrc_subset *subset = &servers->subset;
    bool is_pending = subset->due_us == 0; /* until the engine's turn */
    size_t end;

    if (subset->most == 0)
        return;
    subset->due_us = is_pending ? 0 : JRC_NEVER;
    for (size_t n = 0; n < subset->count; n++)
        servers->list[subset->order[n].server].move = JRC_STAYS;
    for (size_t first = 0; first < subset->count; first = end) {
        uint32_t which = subset->order[first].group;
        for (end = first; end < subset->count; end++)
            if (subset->order[end].group != which)
                break;
        struct group group = {.order = subset->order + first,
                              .count = end - first};
        use_subset(servers, &group, now_us);
        count(servers, &group, now_us);
        release(servers, &group);
        replace(servers, &group, now_us);
    }
    for (size_t n = 0; n < subset->count; n++) {
        struct jrc_server *server = &servers->list[subset->order[n].server];
        if (is_used(server) || !server->spare)
            continue;
        server->tried = true; /* nobody waits for it */
        server->next_us = JRC_NEVER;
    }
}

static int by_group_and_rank(const void *x, const void *y)
{
    const struct jrc_ranked *a = x, *b = y;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return a->server < b->server ? -1 : a->server > b->server;
}

void jrc_subset_rank(struct jrc_servers *servers, uint64_t now_us)
{
    struct jrc_subset *subset = &servers->subset;

    if (subset->most == 0)
        return;
    subset->count = 0;
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        const struct jrc_entry entry = {.host = server->host,
                                        .port = server->port};
        if (!jrc_server_is_listed(server))
            continue;
        subset->order[subset->count++] = (struct jrc_ranked){
            jrc_rendezvous(subset->seed, &entry), server->group, (uint32_t)i};
    }
    qsort(subset->order, subset->count, sizeof *subset->order,
          by_group_and_rank);
    jrc_subset_update(servers, now_us);
}
