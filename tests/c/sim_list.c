/* The list of servers and its changes, which must not end a single call. */
#include "engine/names.h"
#include "engine/servers_set.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000 };

/* Some of the sources and ports, in any order, with any priority. */
static struct jrc_server_list draw(struct sim *sim)
{
    struct jrc_server_list list;
    char text[200], why[100];
    int at = 0;
    bool taken[SIM_PORTS + 1] = {false};

    at += (int)sim_names_write(sim, text);
    sim->names.plain = 0;
    for (uint32_t n = (sim->names.written == 0) +
                      sim_roll(sim, SIM_SERVERS / 2 + (at > 0));
         n > 0; n--) {
        uint32_t port = 1 + sim_roll(sim, SIM_PORTS);
        if (taken[port])
            continue;
        taken[port] = true;
        sim->names.plain |= sim_names_bit("h", (uint16_t)port);
        uint32_t priority = sim_roll(sim, 3);
        if (sim->subset > 0 && priority > 0)
            priority = 1;
        at += sprintf(text + at, "h:%u,%u,%u ", port, 1 + priority,
                      1 + sim_roll(sim, 2) * sim_roll(sim, 5));
    }
    if (jrc_servers_parse(&list, text, why, sizeof why) != 0)
        abort();
    return list;
}

static void set_first(struct sim *sim, struct jrc_server_list *list)
{
    uint64_t never;

    if (!jrc_servers_set(&sim->servers, list, sim->now_us, 0, &never))
        abort();
    jrc_server_list_clear(list);
}

void sim_list_begin(struct sim *sim)
{
    sim->first = draw(sim);
    if (!jrc_servers_init(&sim->servers,
                          sim->names.is_on ? SIM_SLOTS : SIM_SERVERS))
        abort();
    if (!sim->names.is_on)
        set_first(sim, &sim->first);
}

void sim_list_expand(struct sim *sim)
{
    if (!sim->names.is_on)
        return;
    if (!jrc_names_expand(&sim->engine, &sim->first, sim->now_us))
        abort();
    set_first(sim, &sim->first);
}

/* ---- a change ---- */

/* What a change must not alter in a server that stays. */
struct seen {
    uint64_t bit; /* 0: it is not in the list, or a spare */
    enum jrc_server_state state;
    uint64_t connects;
    uint32_t failures;
};

static void snapshot(const struct sim *sim, struct seen seen[SIM_SLOTS])
{
    memset(seen, 0, SIM_SLOTS * sizeof *seen);
    for (size_t i = 0; i < sim->servers.count; i++)
        if (jrc_server_is_listed(&sim->servers.list[i]) &&
            !sim->servers.list[i].spare)
            seen[i] = (struct seen){
                .bit = sim_names_bit(sim->servers.list[i].host,
                                     sim->servers.list[i].port),
                .state = sim->servers.list[i].state,
                .connects =
                    sim->engine
                        .conns[jrc_engine_first_conn(&sim->engine, (uint32_t)i)]
                        .connects,
                .failures = sim->servers.list[i].failures,
            };
}

/* Whether the engine's servers are those of the list. */
static bool is_in_force(const struct sim *sim,
                        const struct jrc_server_list *list)
{
    size_t found = 0;

    for (size_t i = 0; i < sim->servers.count; i++) {
        const struct jrc_server *server = &sim->servers.list[i];
        if (!jrc_server_is_listed(server))
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

static void compare(struct sim *sim, const struct seen before[SIM_SLOTS])
{
    struct seen after[SIM_SLOTS];

    snapshot(sim, after);
    for (size_t i = 0; i < SIM_SLOTS; i++) {
        if (before[i].bit != 0 && after[i].bit == 0)
            sim->left_us[i] = sim->now_us;
        if (before[i].bit == 0 || before[i].bit != after[i].bit)
            continue;
        if (before[i].state != after[i].state ||
            before[i].connects != after[i].connects ||
            before[i].failures != after[i].failures)
            sim_fail(sim,
                     "a change of the list altered a server that stayed in it");
    }
}

/* A copy of the entries but not of their texts, which the engine takes from
 * those that it adds. */
static struct jrc_server_list copy_of(const struct jrc_server_list *list)
{
    struct jrc_server_list copy = *list;

    copy.entries = calloc(list->count, sizeof *list->entries);
    if (copy.entries == NULL)
        abort();
    memcpy(copy.entries, list->entries, list->count * sizeof *list->entries);
    return copy;
}

void sim_list_apply(struct sim *sim, void (*change)(struct sim *sim, void *arg),
                    void *arg)
{
    struct seen before[SIM_SLOTS];

    snapshot(sim, before);
    sim_enter(sim);
    sim->changing = true;
    change(sim, arg);
    sim->changing = false;
    sim_leave(sim);
    compare(sim, before);
}

static void set(struct sim *sim, void *list)
{
    jrc_engine_set_servers(&sim->engine, list, sim->now_us);
}

void sim_list_change(struct sim *sim)
{
    struct jrc_server_list list = draw(sim);
    struct jrc_server_list copy = copy_of(&list);

    sim_list_apply(sim, set, &list);
    sim_names_note(sim, false);
    if (!sim->names.is_on && sim->engine.wanted_us == JRC_NEVER &&
        !is_in_force(sim, &copy))
        sim_fail(sim, "the engine took a list, but uses other servers");
    free(copy.entries);
}

/* ---- what must hold ---- */

/* A change may end a call only if there is no memory; or if the call waited for
 * a server that left, and all others are known to be down.  Calls whose time
 * ran out after an earlier change may end with it, too. */
void sim_list_check_outcome(struct sim *sim, const jsonrpcc_outcome *outcome)
{
    if (sim->changing && outcome->status != JSONRPCC_ENOMEM &&
        outcome->reason != JSONRPCC_LEAVE_TIMEOUT &&
        (outcome->status != JSONRPCC_EFAILURE ||
         jrc_servers_peek(&sim->servers, sim->now_us) != JRC_NO_SERVER))
        sim_fail(sim, "a change of the list ended a call");
    if (outcome->status == JSONRPCC_ECONNLOST &&
        outcome->reason == JSONRPCC_LEAVE_TIMEOUT &&
        jrc_server_is_listed(&sim->servers.list[outcome->server]))
        sim_fail(sim, "the renewal of a connection ended a call");
    if (outcome->status == JSONRPCC_ECONNLOST &&
        outcome->reason == JSONRPCC_LEAVE_TIMEOUT &&
        sim->now_us < sim->left_us[outcome->server] + sim->leave_ms * 1000)
        sim_fail(sim, "a server that left the list got no time for its calls");
}

void sim_list_check(struct sim *sim)
{
    for (uint32_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++)
        if (jrc_engine_server(&sim->engine, i)->state == JRC_SERVER_GONE &&
            (sim->links[i].open || sim->links[i].connecting))
            sim_fail(sim, "a server is gone, but still has a connection");
}

void sim_list_settle(struct sim *sim, void (*run)(struct sim *sim, uint64_t us))
{
    if (sim->names.is_on)
        run(sim, sim->now_us + 25 * SECOND); /* the sources are looked up */
    for (int n = 0; n < 200 && sim->engine.wanted_us != JRC_NEVER; n++)
        run(sim, sim->now_us + SECOND);
    if (sim->engine.wanted_us != JRC_NEVER)
        sim_fail(sim, "a list waits for room for ever");
    run(sim, sim->now_us + sim->leave_ms * 1000 + 5 * SECOND);
}

/* A server that has become a spare may keep a connection for as long as the
 * calls that were sent on it take. */
static bool holds_calls(const struct sim *sim, uint32_t i)
{
    uint32_t first = jrc_engine_first_conn(&sim->engine, i);
    bool has_calls = false;

    for (uint32_t k = first; k < first + sim->engine.width; k++)
        has_calls |= sim->engine.conns[k].sent.count > 0;
    return sim->servers.list[i].spare && has_calls;
}

void sim_list_check_end(struct sim *sim)
{
    for (size_t i = 0; i < sim->servers.count; i++)
        if (sim->servers.list[i].state == JRC_SERVER_LEAVING &&
            !holds_calls(sim, (uint32_t)i))
            sim_fail(sim, "a server is leaving for ever");
}
