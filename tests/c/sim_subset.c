/* The servers that are used, of those in the list: which ones these are, worked
 * out here in another way, and that there are enough of them, and no more.
 *
 * Their dice come from the seed, but are others: a world without a subset is as
 * it was. */
#include "engine/rendezvous.h"
#include "sim.h"

enum { SECOND = 1000000, TIME_LIMIT_US = SECOND, SETTLED_US = 10 * SECOND };

void sim_subset_draw(struct sim *sim, uint64_t seed)
{
    uint64_t dice = (seed + 11) * 0x9fb21c651e98df25ULL >> 19;

    sim->subset = dice % 5 < 2 ? 1 + (uint32_t)(dice / 5 % 2) : 0;
}

static uint64_t rank(const struct sim *sim, const struct jrc_server *server)
{
    const struct jrc_entry entry = {.host = server->host, .port = server->port};

    return jrc_rendezvous(sim->engine.discovery.seed, &entry);
}

/* Whether a server is one of the first of its group. */
static bool is_chosen(const struct sim *sim, size_t i)
{
    const struct jrc_server *list = sim->servers.list;
    uint32_t before = 0;

    for (size_t k = 0; k < sim->servers.count; k++)
        before += jrc_server_is_listed(&list[k]) &&
                  list[k].group == list[i].group &&
                  rank(sim, &list[k]) > rank(sim, &list[i]);
    return before < sim->subset;
}

static bool serves(enum jrc_server_state state)
{
    return state == JRC_SERVER_UP || state == JRC_SERVER_PROVING;
}

/* ---- at any time ----------------------------------------------------------
 */

static void check_spare(struct sim *sim, uint32_t i)
{
    const struct jrc_engine *engine = &sim->engine;
    const struct jrc_server *server = &sim->servers.list[i];
    uint32_t first = jrc_engine_first_conn(engine, i);

    if (server->state != JRC_SERVER_DOWN && server->state != JRC_SERVER_LEAVING)
        sim_fail(sim, "a spare is in use");
    if (server->state == JRC_SERVER_DOWN && server->next_us != JRC_NEVER)
        sim_fail(sim, "a spare is to be connected to");
    for (uint32_t k = first; k < first + engine->width; k++)
        if (engine->conns[k].state != JRC_SERVER_DOWN &&
            engine->conns[k].state != JRC_SERVER_LEAVING)
            sim_fail(sim, "a spare has a connection");
}

bool sim_subset_has_spares(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->servers.count; i++)
        if (sim->servers.list[i].spare)
            return true;
    return false;
}

/* Since when each server has served, or not served, or been UP. */
static void note_service(struct sim *sim, uint32_t i)
{
    const struct jrc_server *server = &sim->servers.list[i];
    struct sim_service *service = &sim->service[i];
    bool is_same = server->uses == service->uses;
    bool is_up = server->state == JRC_SERVER_UP;
    bool is_down = jrc_server_is_listed(server) && !server->spare &&
                   !serves(server->state);

    if (!is_down || !service->was_down || !is_same)
        service->down_us = sim->now_us;
    if (!is_up || !service->was_up || !is_same)
        service->up_us = sim->now_us;
    service->was_down = is_down;
    service->was_up = is_up;
    service->uses = server->uses;
}

void sim_subset_leave(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->servers.count; i++)
        note_service(sim, i);
}

/* What there is of a group. */
struct group {
    uint32_t spares, others; /* others: used, and not of the first */
    uint32_t chosen, settled, serving;
    uint32_t ready; /* those that serve, or have not been down for long */
};

static struct group count_group(struct sim *sim, uint32_t which)
{
    struct group group = {0};

    for (uint32_t i = 0; i < sim->servers.count; i++) {
        const struct jrc_server *server = &sim->servers.list[i];
        const struct sim_service *service = &sim->service[i];
        if (!jrc_server_is_listed(server) || server->group != which)
            continue;
        bool is_first = is_chosen(sim, i);
        group.spares += server->spare;
        group.chosen += is_first;
        if (is_first && server->spare)
            sim_fail(sim, "a server of the subset is a spare");
        if (server->spare)
            continue;
        group.settled += is_first && server->state == JRC_SERVER_UP &&
                         sim->now_us - service->up_us >= SETTLED_US;
        group.others += !is_first;
        group.serving += !is_first && serves(server->state);
        group.ready += sim->now_us - service->down_us < TIME_LIMIT_US;
    }
    return group;
}

/* After a tick. */
void sim_subset_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->servers.count; i++) {
        if (sim->subset == 0 && sim->servers.list[i].spare)
            sim_fail(sim, "a spare, and all are to be used");
        if (sim->servers.list[i].spare)
            check_spare(sim, i);
    }
    if (sim->subset == 0 || sim->servers.subset.due_us <= sim->now_us)
        return; /* the next turn sees to it */
    for (uint32_t which = 0; which < sim->servers.group_count; which++) {
        struct group group = count_group(sim, which);
        if (group.serving > sim->subset - group.settled)
            sim_fail(sim, "more servers are used than have to be");
        if (group.chosen == group.settled && group.others > 0)
            sim_fail(sim, "a replacement that nobody needs");
        if (group.ready < sim->subset && group.spares > 0)
            sim_fail(sim, "nobody takes the place of a server that is down");
    }
}

/* ---- at the end ------------------------------------------------------------
 */

/* In the best group, to which calls go, so that all can prove themselves. */
void sim_subset_check_end(struct sim *sim)
{
    if (sim->subset == 0 || sim->closing || sim->servers.max_attempts >= 0)
        return;
    for (uint32_t i = 0; i < sim->servers.count; i++) {
        const struct jrc_server *server = &sim->servers.list[i];
        if (!jrc_server_is_listed(server) || server->group != 0)
            continue;
        if (is_chosen(sim, i) && !jrc_server_is_connected(server))
            sim_fail(sim, "a server of the subset is not connected");
        if (!is_chosen(sim, i) && !server->spare)
            sim_fail(sim, "a replacement stays for ever");
    }
}
