#include "engine/renewal.h"

#include "engine/chance.h"
#include "engine/conn_state.h"

void jrc_renewal_leave(struct jrc_engine *engine, uint32_t i,
                       uint64_t deadline_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    conn->before = conn->state;
    conn->deadline_us = deadline_us;
    jrc_conn_set_state(engine, i, JRC_SERVER_LEAVING);
    if (conn->is_leaving)
        return; /* it has come back, and leaves again */
    conn->is_leaving = true;
    conn->leaving_next = engine->leaving;
    engine->leaving = i;
}

void jrc_renewal_retire(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    jrc_renewal_leave(engine, i, JRC_NEVER);
    jrc_engine_attend(engine, now_us);
}

uint32_t jrc_renewal_oldest(const struct jrc_engine *engine, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(engine, server);
    uint32_t oldest = JRC_NO_CONN;

    for (uint32_t i = first; i < first + engine->width; i++)
        if (engine->conns[i].state == JRC_SERVER_UP &&
            (oldest == JRC_NO_CONN ||
             engine->conns[i].renew_us < engine->conns[oldest].renew_us))
            oldest = i;
    return oldest;
}

void jrc_renewal_settle(struct jrc_engine *engine, uint32_t server,
                        uint64_t now_us)
{
    jrc_engine_attend(engine, now_us); /* and others may be opened */
    while (jrc_conns_in(engine, server, JRC_SERVER_UP) > engine->wide) {
        uint32_t oldest = jrc_renewal_oldest(engine, server);
        jrc_renewal_retire(engine, oldest, now_us);
        jrc_add(&engine->conns[oldest].renewals, 1);
        jrc_engine_emit(engine, JSONRPCC_RENEWED, oldest, 0, now_us);
    }
}

uint64_t jrc_renewal_due_us(struct jrc_engine *engine, uint64_t now_us)
{
    uint64_t age_us = (uint64_t)engine->options.max_connection_age_ms * 1000;

    if (age_us == 0)
        return JRC_NEVER;
    return now_us +
           jrc_chance_between(age_us, 90, 110, jrc_engine_roll(engine));
}

bool jrc_renewal_bring_back(struct jrc_engine *engine, uint32_t server,
                            uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    for (uint32_t i = first; i < first + engine->width; i++) {
        if (engine->conns[i].state != JRC_SERVER_LEAVING)
            continue;
        jrc_conn_set_state(engine, i, JRC_SERVER_UP);
        jrc_engine_attend(engine, now_us);
        return true;
    }
    return false;
}
