/* The faults are over: everything must recover, and a new call must succeed.
 *
 * A connection that is dead for good stays dead, and nothing reports it: only
 * calls that time out on it can show that. */
#include "sim.h"

enum { SECOND = 1000000, HEAL_US = 30 * SECOND, PACE_US = SECOND / 2 };

void sim_heal(struct sim *sim)
{
    sim->healing = true;
    sim->pauses = false;
    sim_names_heal(sim);
    sim->world.span_us = sim->world.calm_us;
    sim->world.chunk = 65536;
    sim->world.window = 1 << 20;
    sim->world.remote = 0;
    for (int i = 0; i < SIM_SLOTS; i++)
        sim->moods[i] = SIM_ACCEPTS;
    for (uint32_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++)
        sim_link_heal(sim, i);
}

/* ---- dead connections ---- */

static bool is_any_dead(const struct sim *sim)
{
    for (size_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++)
        if (sim->links[i].forgotten)
            return true;
    return false;
}

/* Whether the engine has to keep a dead connection because of this call: the
 * server may be busy with it, as it was sent before the server became a
 * suspect; or it takes long, and shorter calls all go to idle connections. */
static bool holds_connection(const struct sim *sim, const struct jrc_call *call)
{
    return (call->role & JRC_ELDER) != 0 ||
           (sim->engine.width > 1 && call->timeout_ms > 2000);
}

static bool is_any_held(const struct sim *sim)
{
    for (size_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++) {
        const struct jrc_call_list *sent = &sim->engine.conns[i].sent;
        if (sim->links[i].forgotten && sent->count > 0 &&
            holds_connection(sim, &sim->calls.slots[sent->first]))
            return true;
    }
    return false;
}

/* ---- how long recovery takes ---- */

/* About how many calls are made until one goes to connection i, if its group is
 * the best. */
static uint64_t calls_until_turn(const struct sim *sim, uint32_t i)
{
    const struct jrc_server *its = &sim->servers.list[sim_pool_server(sim, i)];
    uint64_t all = 0;

    for (size_t k = 0; k < sim->servers.count; k++)
        if (sim->servers.list[k].group == its->group)
            all += sim->servers.list[k].weight;
    return sim->engine.wide * (all / its->weight + 1);
}

/* The longest time until all dead connections are detected.  On each, several
 * calls have to time out, and then a trial; but a server of low weight gets few
 * calls.  0: no dead connection gets any. */
static uint64_t detection_us(const struct sim *sim)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++) {
        uint32_t group = sim->servers.list[sim_pool_server(sim, i)].group;
        if (!sim->links[i].forgotten || group != 0 ||
            !jrc_conn_gets_calls(&sim->engine.conns[i]))
            continue;
        uint64_t calls = (JRC_SUSPECT_AFTER + 1) * calls_until_turn(sim, i);
        if (calls > most)
            most = calls;
    }
    return most * PACE_US;
}

/* Make calls now and then, until there have been no dead connections for a
 * while, and wait for these calls to end.  False: an earlier call has kept one
 * all the time. */
static bool keep_calling(struct sim *sim)
{
    uint64_t begun_us = sim->now_us, released_us = begun_us, well_us = begun_us;
    bool was_held = false;

    while (!was_held && !sim->closing && sim->broken == NULL &&
           sim->now_us < well_us + HEAL_US) {
        sim_submit(sim, JSONRPCC_WAIT_FOR_READY, 2000, false);
        sim_work(sim);
        sim_run_until(sim, sim->now_us + PACE_US);
        uint64_t left_us = detection_us(sim);
        if (is_any_held(sim)) {
            released_us = well_us = sim->now_us;
            was_held = released_us - begun_us >= 2 * HEAL_US;
        } else if (left_us > 0) {
            well_us = sim->now_us;
            if (well_us - released_us >= 2 * HEAL_US + left_us)
                break;
        }
    }
    uint64_t last_us = begun_us + HEAL_US; /* if it closes, no call was made */
    sim_run_until(sim,
                  (sim->now_us > last_us ? sim->now_us : last_us) + 5 * SECOND);
    return !was_held;
}

/* ---- what must hold then ---- */

static const struct sim_record *last_outcome(const struct sim *sim)
{
    const struct sim_record *last = NULL;

    for (size_t i = 0; i < sim->history.count; i++)
        if (sim->history.list[i].kind == SIM_OUTCOME &&
            sim->history.list[i].token == sim->last_token)
            last = &sim->history.list[i];
    return last;
}

static void check_call(struct sim *sim, bool is_well)
{
    const struct jrc_servers *servers = &sim->servers;
    bool must_succeed = is_well && !is_any_held(sim) &&
                        jrc_servers_hopeful(servers) &&
                        (servers->max_attempts < 0 ||
                         (!is_any_dead(sim) && !servers->has_names));

    sim_submit(sim, 0, 2000, false);
    sim_work(sim);
    sim_run_until(sim, sim->now_us + 3 * SECOND);
    const struct sim_record *last = last_outcome(sim);
    if (last == NULL)
        sim_fail(sim, "the last call has no outcome");
    else if (must_succeed && last->status != JSONRPCC_OK)
        sim_fail(sim, "a call failed long after the faults were over");
    else if (must_succeed && servers->max_attempts < 0 &&
             servers->list[last->server].group != 0)
        sim_fail(sim, "calls do not return to the best servers");
}

void sim_heal_check(struct sim *sim)
{
    sim_list_settle(sim, sim_run_until);
    bool is_well = keep_calling(sim);
    sim_list_check_end(sim);
    sim_names_note(sim, true);
    sim_pool_check_end(sim);
    if (is_well && !is_any_held(sim) && !is_any_dead(sim))
        sim_subset_check_end(sim);
    if (!sim->closing && sim->broken == NULL)
        check_call(sim, is_well);
    if (sim->last_deadline_us > sim->now_us && sim->broken == NULL)
        sim_run_until(sim, sim->last_deadline_us + 1);
    if (sim->closing && !sim->closed)
        sim_fail(sim, "close never finished");
    if (sim->calls.live != 0 || sim->calls.kept_bytes != 0 ||
        sim->engine.held_bytes != 0)
        sim_fail(sim, "calls that have ended left something behind");
}
