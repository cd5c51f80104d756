/* The connections of a server.  Its state follows from theirs, and a connection
 * can replace another without harm to any call. */
#include "sim.h"

uint32_t sim_pool_server(const struct sim *sim, uint32_t conn)
{
    return jrc_engine_server_of(&sim->engine, conn);
}

void sim_pool_enter(struct sim *sim)
{
    for (uint32_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++)
        sim->conn_states[i] = sim->engine.conns[i].state;
}

/* How many connections of a server are in each state. */
struct counted {
    uint32_t in[JRC_SERVER_GREETING + 1];
    uint32_t live;
    uint32_t tries; /* being opened */
};

static struct counted count(const struct sim *sim, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(&sim->engine, server);
    struct counted counted = {0};

    for (uint32_t i = first; i < first + sim->engine.width; i++)
        counted.in[sim->engine.conns[i].state]++;
    counted.live = counted.in[JRC_SERVER_UP] + counted.in[JRC_SERVER_PROVING];
    counted.tries =
        counted.in[JRC_SERVER_CONNECTING] + counted.in[JRC_SERVER_GREETING];
    return counted;
}

/* Whether the state of the server follows from those of its connections. */
static bool agrees(const struct jrc_server *server, const struct counted *of)
{
    switch ((enum jrc_server_state)server->state) { /* it is atomic */
    case JRC_SERVER_GONE:
    case JRC_SERVER_DOWN:
        return of->live == 0 && of->tries == 0 &&
               of->in[JRC_SERVER_LEAVING] == 0;
    case JRC_SERVER_CONNECTING:
        return of->live == 0 && of->tries > 0 &&
               of->in[JRC_SERVER_LEAVING] == 0;
    case JRC_SERVER_PROVING:
        return of->in[JRC_SERVER_PROVING] > 0 && of->in[JRC_SERVER_UP] == 0;
    case JRC_SERVER_UP:
    case JRC_SERVER_SUSPECT:
        return of->in[JRC_SERVER_UP] > 0;
    default: /* LEAVING */
        return of->live == 0 && of->tries == 0 &&
               of->in[JRC_SERVER_LEAVING] > 0;
    }
}

static void check_server(struct sim *sim, uint32_t server)
{
    const struct jrc_engine *engine = &sim->engine;
    struct counted of = count(sim, server);
    uint32_t first = jrc_engine_first_conn(engine, server);
    bool was_listed = sim->states[server] != JRC_SERVER_LEAVING &&
                      sim->states[server] != JRC_SERVER_GONE;

    if (!agrees(&engine->servers->list[server], &of))
        sim_fail(sim, "the states of a server and its connections contradict");
    if (of.in[JRC_SERVER_UP] > engine->wide ||
        of.live + of.tries > engine->wide + 1)
        sim_fail(sim, "a server has too many connections");
    if (!was_listed ||
        engine->servers->list[server].state == JRC_SERVER_LEAVING)
        return;
    for (uint32_t i = first; i < first + engine->width; i++)
        if (sim->conn_states[i] == JRC_SERVER_UP &&
            engine->conns[i].state == JRC_SERVER_LEAVING &&
            of.in[JRC_SERVER_UP] == 0)
            sim_fail(sim, "a connection left while no other was up");
}

/* A response came on it, or it took a notification, which gets none. */
static bool has_proof(const struct sim *sim, uint32_t i)
{
    return sim->links[i].spoke || sim->links[i].notified_us != 0;
}

/* A server that has failed must respond on some connection before it is
 * trusted.  A connection beside others may become UP without a response, unless
 * it owes one. */
static void check_proof(struct sim *sim, uint32_t server)
{
    const struct jrc_engine *engine = &sim->engine;
    uint32_t first = jrc_engine_first_conn(engine, server);
    bool is_proved = false, owes = false;

    if (engine->servers->list[server].state != JRC_SERVER_UP)
        return;
    for (uint32_t i = first; i < first + engine->width; i++) {
        const struct jrc_conn *conn = &engine->conns[i];
        if (conn->state != JRC_SERVER_UP)
            continue;
        is_proved |= has_proof(sim, i);
        owes |= sim->conn_states[i] == JRC_SERVER_PROVING &&
                conn->sent.count > 0 && !has_proof(sim, i);
    }
    if (sim->states[server] == JRC_SERVER_PROVING && !is_proved)
        sim_fail(sim, "a server was trusted before it had responded");
    if (owes && !sim->world.proves)
        sim_fail(sim, "a connection was trusted while it owed a response");
}

void sim_pool_leave(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->servers.count; i++) {
        check_server(sim, i);
        check_proof(sim, i);
    }
}

/* A connection that is leaving keeps its place while a call needs it. */
void sim_pool_check_end(struct sim *sim)
{
    const struct jrc_engine *engine = &sim->engine;

    for (uint32_t i = 0; i < sim->servers.count && !sim->closing; i++) {
        struct counted of = count(sim, i);
        if (sim->servers.list[i].state == JRC_SERVER_UP &&
            sim->servers.max_attempts < 0 &&
            of.live + of.tries + of.in[JRC_SERVER_LEAVING] < engine->wide)
            sim_fail(sim, "a server still lacks connections");
    }
}
