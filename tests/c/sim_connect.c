/* How a connection begins, address by address, and how it ends. */
#include "sim.h"

#include <errno.h>

/* Of the server behind connection i. */
static enum sim_mood mood_of(const struct sim *sim, uint32_t i)
{
    return sim->moods[sim_pool_server(sim, i)];
}

void sim_connect_shut(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    if (link->serial != 0)
        sim_note(sim, (struct sim_record){.kind = SIM_LOST,
                                          .server = (int16_t)i,
                                          .link = link->serial});
    sim_link_clear(link);
}

static bool try_next_address(struct sim *sim, uint32_t i);

void sim_connect_lose(struct sim *sim, uint32_t i, int32_t reason)
{
    if (sim->engine.conns[i].state == JRC_SERVER_GREETING &&
        try_next_address(sim, i))
        return;
    sim_connect_shut(sim, i);
    sim_enter(sim);
    jrc_engine_lost(&sim->engine, i, reason, sim->now_us);
    sim_leave(sim);
}

static void try_address(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    link->serial = ++sim->last_serial;
    link->connecting = true;
    sim_enter(sim);
    jrc_engine_connecting(&sim->engine, i, sim->now_us);
    sim_leave(sim);
    if (mood_of(sim, i) == SIM_MUTE || sim_strikes(sim, SIM_SILENT))
        return;
    sim_schedule_conn(sim, sim_delay(sim), SIM_ON_CONNECT, i);
}

/* False: there is no other address. */
static bool try_next_address(struct sim *sim, uint32_t i)
{
    unsigned left = sim->links[i].addresses;

    if (left == 0)
        return false;
    sim_connect_shut(sim, i);
    sim->links[i].addresses = left - 1;
    try_address(sim, i);
    return true;
}

void sim_connect_next(struct sim *sim, uint32_t i, int32_t reason)
{
    if (!try_next_address(sim, i))
        sim_connect_lose(sim, i, reason);
}

void sim_connect_finish(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    if (mood_of(sim, i) == SIM_REFUSES || mood_of(sim, i) == SIM_MUTE ||
        sim_strikes(sim, SIM_REFUSED)) {
        sim_connect_next(sim, i, ECONNREFUSED);
        return;
    }
    link->connecting = false;
    link->open = true;
    link->deaf = mood_of(sim, i) == SIM_CLOSES;
    link->hello_total = sim->hello.total;
    link->greet_us = link->heard_us = sim->now_us;
    sim_enter(sim);
    jrc_engine_opened(&sim->engine, i, sim->now_us);
    sim_leave(sim);
    if (link->deaf) {
        sim->faults[SIM_CLOSING]++;
        sim_schedule_conn(sim, sim_delay(sim), SIM_ON_BREAK, i);
    } else if (!sim->healing && sim_roll(sim, 3) == 0)
        sim_schedule_conn(sim, sim_roll(sim, sim->world.change_us),
                          SIM_ON_BREAK, i);
}

void sim_connect_open(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    sim_connect_shut(sim, i);
    link->connecting = true;
    link->addresses = sim_roll(sim, 3);
    if (sim_strikes(sim, SIM_REFUSED))
        sim_connect_lose(sim, i, EMFILE); /* not even a socket */
    else
        try_address(sim, i);
}
