/* The list of servers, and how it changes: not one call may end by that. */
#include "engine/names.h"
#include "engine/servers_set.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000 };

/* Some of the names, in any order, with any priority. */
static struct jrc_server_list draw(struct sim *sim)
{
    struct jrc_server_list list;
    char text[200], why[100];
    int at = 0;
    bool taken[SIM_NAMES + 1] = {false};

    for (uint32_t n = 1 + sim_roll(sim, SIM_SERVERS / 2); n > 0; n--) {
        uint32_t name = 1 + sim_roll(sim, SIM_NAMES);
        if (taken[name])
            continue;
        taken[name] = true;
        at += sprintf(text + at, "h:%u,%u,%u ", name, 1 + sim_roll(sim, 3),
                      1 + sim_roll(sim, 2) * sim_roll(sim, 5));
    }
    if (jrc_servers_parse(&list, text, why, sizeof why) != 0)
        abort();
    return list;
}

void sim_list_begin(struct sim *sim)
{
    struct jrc_server_list list = draw(sim);
    uint64_t never;

    if (!jrc_servers_init(&sim->servers, SIM_SERVERS) ||
        !jrc_servers_set(&sim->servers, &list, sim->now_us, 0, &never))
        abort();
    jrc_server_list_clear(&list);
}

/* ---- a change ------------------------------------------------------------ */

static bool is_listed(const struct jrc_server *server)
{
    return server->state != JRC_SERVER_LEAVING &&
           server->state != JRC_SERVER_GONE;
}

/* What is known of a server, before and after. */
struct seen {
    uint16_t port; /* 0: it is not in the list */
    enum jrc_server_state state;
    uint64_t connects;
    uint32_t failures;
};

static void look(const struct sim *sim, struct seen seen[SIM_SERVERS])
{
    memset(seen, 0, SIM_SERVERS * sizeof *seen);
    for (size_t i = 0; i < sim->servers.count; i++)
        if (is_listed(&sim->servers.list[i]))
            seen[i] = (struct seen){
                .port = sim->servers.list[i].port,
                .state = sim->servers.list[i].state,
                .connects = sim->engine.conns[i].connects,
                .failures = sim->servers.list[i].failures,
            };
}

/* Whether the table says what the list says. */
static bool is_in_force(const struct sim *sim,
                        const struct jrc_server_list *list)
{
    size_t found = 0;

    for (size_t i = 0; i < sim->servers.count; i++) {
        const struct jrc_server *server = &sim->servers.list[i];
        if (!is_listed(server))
            continue;
        const struct jrc_entry *entry = &list->entries[server->position];
        if (server->position >= list->count || entry->port != server->port ||
            entry->priority != server->priority ||
            entry->weight != server->weight || entry->group != server->group)
            return false;
        found++;
    }
    return found == list->count;
}

static void compare(struct sim *sim, const struct seen before[SIM_SERVERS])
{
    struct seen after[SIM_SERVERS];

    look(sim, after);
    for (size_t i = 0; i < SIM_SERVERS; i++) {
        if (before[i].port != 0 && after[i].port == 0)
            sim->left_us[i] = sim->now_us;
        if (before[i].port == 0 || before[i].port != after[i].port)
            continue;
        if (before[i].state != after[i].state ||
            before[i].connects != after[i].connects ||
            before[i].failures != after[i].failures)
            sim_break(sim, "a server that stayed in the list is another one");
    }
}

/* The entries, as set() takes the texts of those that join. */
static struct jrc_server_list copy_of(const struct jrc_server_list *list)
{
    struct jrc_server_list copy = *list;

    copy.entries = calloc(list->count, sizeof *list->entries);
    if (copy.entries == NULL)
        abort();
    memcpy(copy.entries, list->entries, list->count * sizeof *list->entries);
    return copy;
}

void sim_list_change(struct sim *sim)
{
    struct seen before[SIM_SERVERS];
    struct jrc_server_list list = draw(sim);
    struct jrc_server_list copy = copy_of(&list);

    look(sim, before);
    sim_enter(sim);
    sim->changing = true;
    jrc_engine_set_servers(&sim->engine, &list, sim->now_us);
    sim->changing = false;
    sim_leave(sim);
    compare(sim, before);
    if (sim->engine.wanted_us == JRC_NEVER && !is_in_force(sim, &copy))
        sim_break(sim, "a list was taken in, and is not in force");
    free(copy.entries);
}

/* ---- what holds ---------------------------------------------------------- */

/* An outcome in a change is a failure of a call that was waiting for a server
 * which has left, when all others are known to be down; or of no memory. */
void sim_list_check_outcome(struct sim *sim, const jsonrpcc_outcome *outcome)
{
    if (sim->changing && outcome->status != JSONRPCC_ENOMEM &&
        outcome->reason != JSONRPCC_LEAVE_TIMEOUT && /* an earlier one's */
        (outcome->status != JSONRPCC_EFAILURE ||
         jrc_servers_peek(&sim->servers, sim->now_us) != JRC_NO_SERVER))
        sim_break(sim, "a change of the list has ended a call");
    if (outcome->status == JSONRPCC_ECONNLOST &&
        outcome->reason == JSONRPCC_LEAVE_TIMEOUT &&
        sim->now_us < sim->left_us[outcome->server] + sim->leave_ms * 1000)
        sim_break(sim, "a server that left had no time for its calls");
}

void sim_list_check(struct sim *sim)
{
    for (size_t i = 0; i < sim->servers.count; i++)
        if (sim->servers.list[i].state == JRC_SERVER_GONE &&
            (sim->links[i].open || sim->links[i].connecting))
            sim_break(sim, "a server is gone, and its connection is not");
}

void sim_list_await(struct sim *sim, void (*run)(struct sim *sim, uint64_t us))
{
    for (int n = 0; n < 200 && sim->engine.wanted_us != JRC_NEVER; n++)
        run(sim, sim->now_us + SECOND);
    if (sim->engine.wanted_us != JRC_NEVER)
        sim_break(sim, "a list waits for ever");
    run(sim, sim->now_us + sim->leave_ms * 1000 + 5 * SECOND);
}

void sim_list_check_end(struct sim *sim)
{
    for (size_t i = 0; i < sim->servers.count; i++)
        if (sim->servers.list[i].state == JRC_SERVER_LEAVING)
            sim_break(sim, "a server leaves for ever");
}
