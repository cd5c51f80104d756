#include "engine/conn_state.h"

void jrc_conn_set_state(struct jrc_engine *engine, uint32_t i,
                        enum jrc_server_state state)
{
    struct jrc_conn *conn = &engine->conns[i];

    engine->proving += state == JRC_SERVER_PROVING;
    engine->proving -= conn->state == JRC_SERVER_PROVING;
    atomic_store_explicit(&conn->state, state, memory_order_relaxed);
}

unsigned jrc_conn_worth(enum jrc_server_state state)
{
    static const unsigned worths[JRC_SERVER_GREETING + 1] = {
        [JRC_SERVER_DOWN] = 0,     [JRC_SERVER_GONE] = 0,
        [JRC_SERVER_LEAVING] = 1,  [JRC_SERVER_CONNECTING] = 2,
        [JRC_SERVER_GREETING] = 2, [JRC_SERVER_PROVING] = 3,
        [JRC_SERVER_UP] = 4,       [JRC_SERVER_SUSPECT] = 4};

    return worths[state];
}

uint32_t jrc_conns_best(const struct jrc_engine *engine, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(engine, server), best = first;

    for (uint32_t i = first + 1; i < first + engine->width; i++)
        if (jrc_conn_worth(engine->conns[i].state) >
            jrc_conn_worth(engine->conns[best].state))
            best = i;
    return best;
}

uint32_t jrc_conns_in(const struct jrc_engine *engine, uint32_t server,
                      enum jrc_server_state state)
{
    uint32_t first = jrc_engine_first_conn(engine, server), found = 0;

    for (uint32_t i = first; i < first + engine->width; i++)
        found += engine->conns[i].state == state;
    return found;
}

uint32_t jrc_conns_live(const struct jrc_engine *engine, uint32_t server)
{
    return jrc_conns_in(engine, server, JRC_SERVER_UP) +
           jrc_conns_in(engine, server, JRC_SERVER_PROVING) +
           jrc_conns_in(engine, server, JRC_SERVER_CONNECTING) +
           jrc_conns_in(engine, server, JRC_SERVER_GREETING);
}
