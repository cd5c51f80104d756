/* Which servers of the list are used.  Ranks them in another way
 * than the engine, and checks that as many are used as needed, and no more.
 *
 * Whether a world has a subset is derived from the seed without rolling the
 * dice.  So seeds without one give the same runs as before subsets existed. */
#include "engine/rendezvous.h"
#include "sim.h"

enum { SECOND = 1000000, TIME_LIMIT_US = SECOND };

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

/* Whether a server ranks among the first of its group: the subset. */
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

/* ---- at any time ---- */

static void check_spare(struct sim *sim, uint32_t i)
{
    const struct jrc_engine *engine = &sim->engine;
    const struct jrc_server *server = &sim->servers.list[i];
    uint32_t first = jrc_engine_first_conn(engine, i);

    if (server->state != JRC_SERVER_DOWN && server->state != JRC_SERVER_LEAVING)
        sim_fail(sim, "a spare is in use");
    if (server->state == JRC_SERVER_DOWN && server->next_us != JRC_NEVER)
        sim_fail(sim, "a connection to a spare is planned");
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

/* Since when has server i been out of service, and since when UP? */
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

/* The listed servers of a group. */
struct group {
    uint32_t chosen, settled; /* in the subset; and UP for some time */
    uint32_t others, serving; /* replacements; and in service */
    uint32_t spares;
    uint32_t ready; /* in use, and in service or down for only a short time */
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
            sim_fail(sim, "a spare ranks among the subset");
        if (server->spare)
            continue;
        group.settled += is_first && server->state == JRC_SERVER_UP &&
                         sim->now_us - service->up_us >= sim->world.cap_us;
        group.others += !is_first;
        group.serving += !is_first && serves(server->state);
        group.ready += sim->now_us - service->down_us < TIME_LIMIT_US;
    }
    return group;
}

/* After a turn of the loop. */
void sim_subset_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->servers.count; i++) {
        if (sim->subset == 0 && sim->servers.list[i].spare)
            sim_fail(sim,
                     "there is a spare although all servers are to be used");
        if (sim->servers.list[i].spare)
            check_spare(sim, i);
    }
    if (sim->subset == 0 || sim->servers.subset.due_us <= sim->now_us)
        return; /* the engine updates the subset in its next turn */
    for (uint32_t which = 0; which < sim->servers.group_count; which++) {
        struct group group = count_group(sim, which);
        if (group.serving > sim->subset - group.settled)
            sim_fail(sim, "more replacements are in service than needed");
        if (group.chosen == group.settled && group.others > 0)
            sim_fail(sim, "a replacement is in use although none is needed");
        if (group.ready < sim->subset && group.spares > 0)
            sim_fail(sim, "a server that is down was not replaced");
    }
}

/* ---- at the end ---- */

/* Only in the best group: it gets calls, so each server can prove itself. */
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
            sim_fail(sim, "a replacement was never released");
    }
}
