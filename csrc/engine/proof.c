#include "engine/proof.h"

#include "engine/conn_state.h"
#include "engine/renewal.h"

void jrc_proof_begin(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    jrc_conn_set_state(engine, i, JRC_SERVER_PROVING);
    if (jrc_engine_server(engine, i)->state == JRC_SERVER_PROVING) {
        jrc_proof_inherit(engine, jrc_engine_server_of(engine, i));
        return;
    }
    conn->deadline_us = now_us + engine->servers->trial_time_us;
    jrc_engine_attend(engine, conn->deadline_us);
}

void jrc_proof_inherit(struct jrc_engine *engine, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(engine, server);
    struct jrc_server *its = &engine->servers->list[server];

    its->trial_us = its->tried_us = JRC_NEVER;
    for (uint32_t i = first; i < first + engine->width; i++) {
        struct jrc_conn *conn = &engine->conns[i];
        if (conn->state != JRC_SERVER_PROVING)
            continue;
        conn->deadline_us = JRC_NEVER;
        if (conn->trial_us < its->trial_us)
            its->trial_us = conn->trial_us;
        if (conn->tried_us < its->tried_us)
            its->tried_us = conn->tried_us;
    }
    jrc_servers_regroup(engine->servers);
}

void jrc_pool_suspect(struct jrc_engine *engine, uint32_t server,
                      uint64_t deadline_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    for (uint32_t i = first; i < first + engine->width; i++) {
        struct jrc_conn *conn = &engine->conns[i];
        if (!jrc_conn_gets_calls(conn) ||
            (deadline_us != JRC_NEVER && conn->deadline_us != JRC_NEVER))
            continue;
        conn->deadline_us = deadline_us;
        conn->trial_id = 0;
        jrc_engine_attend(engine, deadline_us);
    }
}

/* Its server is a suspect, by what they have not proved: they are on trial with
 * it, and no more alone. */
static void end_proof(struct jrc_engine *engine, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    if (jrc_conns_in(engine, server, JRC_SERVER_UP) > 0)
        return;
    for (uint32_t i = first; i < first + engine->width; i++) {
        if (engine->conns[i].state != JRC_SERVER_PROVING)
            continue;
        jrc_conn_set_state(engine, i, JRC_SERVER_UP);
        engine->conns[i].unproven = engine->width > 1; /* others may respond */
    }
}

void jrc_proof_resume(struct jrc_engine *engine, uint32_t server,
                      uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    if (engine->servers->list[server].state != JRC_SERVER_UP)
        return;
    for (uint32_t i = first; i < first + engine->width; i++) {
        struct jrc_conn *conn = &engine->conns[i];
        if (conn->state != JRC_SERVER_PROVING &&
            (!conn->unproven || conn->state != JRC_SERVER_UP))
            continue;
        conn->misses = 0;
        jrc_proof_begin(engine, i, now_us);
    }
}

bool jrc_pool_heard(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    struct jrc_conn *conn = &engine->conns[i];
    bool is_news = jrc_servers_answered(engine->servers, server, now_us);

    conn->failures = conn->misses = 0;
    conn->unproven = false;
    conn->before = JRC_SERVER_UP;
    if (is_news && engine->width > 1) {
        jrc_proof_resume(engine, server, now_us);
        jrc_engine_attend(engine, now_us); /* its others may be opened */
    }
    if (conn->state != JRC_SERVER_PROVING)
        return is_news;
    jrc_conn_set_state(engine, i, JRC_SERVER_UP);
    conn->deadline_us = JRC_NEVER;
    if (engine->width > 1)
        jrc_renewal_settle(engine, server, now_us);
    return is_news;
}

/* One connection does not respond, though its server does on others. */
static void doubt(struct jrc_engine *engine, uint32_t i, uint64_t now_us,
                  bool trial)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    struct jrc_conn *conn = &engine->conns[i];

    conn->misses++;
    if (engine->servers->list[server].state != JRC_SERVER_UP)
        return;
    if (trial && conn->state == JRC_SERVER_PROVING) {
        /* Its trial has failed, unless the response comes in time. */
        conn->deadline_us = conn->tried_us + engine->servers->trial_time_us;
        jrc_engine_attend(engine, conn->deadline_us);
    } else if (conn->misses >= JRC_SUSPECT_AFTER &&
               conn->state == JRC_SERVER_UP &&
               jrc_conns_in(engine, server, JRC_SERVER_UP) > 1) {
        jrc_renewal_retire(engine, i, now_us);
    }
}

bool jrc_pool_timed_out(struct jrc_engine *engine, uint32_t i, uint64_t now_us,
                        bool trial)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    bool is_suspect = jrc_servers_timed_out(engine->servers, server, now_us,
                                            trial, jrc_engine_roll(engine));

    if (is_suspect)
        end_proof(engine, server);
    else if (engine->width > 1)
        doubt(engine, i, now_us, trial);
    return is_suspect;
}

void jrc_pool_tried(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    uint32_t server = jrc_engine_server_of(engine, i);

    jrc_servers_tried(engine->servers, server, now_us);
    conn->trial_us = now_us + engine->servers->cap_us;
}
