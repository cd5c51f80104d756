/* Whether pauses are short is derived from the seed without rolling the dice.
 * So seeds with long ones give the same runs as before there were others. */
#include "sim_trial.h"

enum { SECOND = 1000000, CONNECT_US = SIM_CONNECT_MS * 1000 };

void sim_trial_draw(struct sim *sim, uint64_t seed)
{
    uint64_t dice = (seed + 13) * 0xbf58476d1ce4e5b9ULL >> 21;
    uint64_t dice_us = dice / 3;

    sim->world.cap_us = 10 * SECOND;
    sim->world.calm_us = 1000;
    if (dice % 3 != 0)
        return;
    sim->world.cap_us = 1000 + (uint32_t)(dice_us % 20000);
    sim->world.calm_us = (uint32_t)(dice_us / 20000 % 60000);
}

uint64_t sim_trial_time_us(const struct sim *sim)
{
    return sim->world.cap_us > CONNECT_US ? sim->world.cap_us : CONNECT_US;
}

void sim_trial_given(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    if (link->asked_us == 0)
        link->asked_us = sim->now_us;
    if (link->tried_us == 0)
        link->tried_us = sim->now_us;
}

void sim_trial_suspect(struct sim *sim, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(&sim->engine, server);

    for (uint32_t i = first; i < first + sim->engine.width; i++)
        sim->links[i].tried_us = 0;
}

/* One whose first request is leaving, while its call waits, is alive. */
void sim_trial_lost(struct sim *sim, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(&sim->engine, server);

    if (sim->states[server] != JRC_SERVER_SUSPECT)
        return;
    for (uint32_t i = first; i < first + sim->engine.width; i++) {
        const struct sim_link *link = &sim->links[i];
        const struct jrc_frames *out = &sim->engine.conns[i].out;
        bool is_lost =
            link->open && !jrc_state_is_connected(sim->engine.conns[i].state);
        if (!is_lost || link->tried_us != 0 || link->up_len == 0 ||
            jrc_frames_empty(out) ||
            jrc_calls_find(&sim->calls, out->list[out->first].id) == NULL)
            continue;
        if (sim->now_us - link->took_us < sim_trial_time_us(sim))
            sim_fail(sim, "a connection was lost while a request was leaving");
    }
}

void sim_trial_resume(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    if (link->asked_us != 0)
        link->asked_us = sim->now_us;
    if (link->tried_us != 0)
        link->tried_us = sim->now_us;
}

void sim_trial_outcome(struct sim *sim, const struct jrc_call *call,
                       const jsonrpcc_outcome *outcome)
{
    if (outcome->status != JSONRPCC_ECONNLOST ||
        outcome->reason != JSONRPCC_UNRESPONSIVE)
        return;
    const struct sim_link *link = &sim->links[call->conn];
    bool is_suspect = sim->states[outcome->server] == JRC_SERVER_SUSPECT;
    uint64_t since_us = is_suspect ? link->tried_us : link->asked_us;
    if (sim->now_us - since_us < sim_trial_time_us(sim))
        sim_fail(sim, "a call was lost before its server had time to answer");
}
