#include "engine/pool.h"

#include "engine/conn_state.h"
#include "engine/greeting.h"
#include "engine/renewal.h"

bool jrc_pool_is_only(const struct jrc_engine *engine, uint32_t i)
{
    uint32_t server = jrc_engine_server_of(engine, i);

    return jrc_conns_in(engine, server, JRC_SERVER_UP) +
               jrc_conns_in(engine, server, JRC_SERVER_PROVING) +
               jrc_conns_in(engine, server, JRC_SERVER_LEAVING) ==
           1;
}

void jrc_pool_set_up(struct jrc_engine *engine)
{
    const jsonrpcc_options *options = &engine->options;

    engine->wide =
        options->connections > 1 ? (uint32_t)options->connections : 1;
    engine->width =
        engine->wide + (engine->wide > 1 || options->max_connection_age_ms > 0);
}

/* ---- opening ---- */

/* The attempts of a server that is down are made on its first connection that
 * is. */
static bool leads(const struct jrc_engine *engine, uint32_t i)
{
    uint32_t at =
        jrc_engine_first_conn(engine, jrc_engine_server_of(engine, i));

    while (at < i && engine->conns[at].state != JRC_SERVER_DOWN)
        at++;
    return at == i;
}

uint64_t jrc_pool_due_us(const struct jrc_engine *engine, uint32_t i)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    enum jrc_server_state state = engine->servers->list[server].state;
    uint64_t next_us = engine->conns[i].next_us;

    if (state == JRC_SERVER_DOWN && leads(engine, i))
        return engine->servers->list[server].next_us;
    if (engine->width == 1 || state != JRC_SERVER_UP || engine->closing ||
        engine->servers->list[server].once)
        return JRC_NEVER;
    uint32_t live = jrc_conns_live(engine, server);
    if (live < engine->wide)
        return next_us;
    /* There is one place more than that, and a server that is UP has a
     * connection that is. */
    uint64_t renew_us =
        engine->conns[jrc_renewal_oldest(engine, server)].renew_us;
    return renew_us > next_us ? renew_us : next_us;
}

void jrc_pool_attempt(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);

    engine->conns[i].replaces = jrc_conns_live(engine, server) >= engine->wide;
    if (engine->servers->list[server].state == JRC_SERVER_DOWN)
        jrc_servers_attempt(engine->servers, server, now_us);
    jrc_conn_set_state(engine, i, JRC_SERVER_CONNECTING);
}

void jrc_pool_greet(struct jrc_engine *engine, uint32_t i)
{
    jrc_conn_set_state(engine, i, JRC_SERVER_GREETING);
}

void jrc_pool_next(struct jrc_engine *engine, uint32_t i)
{
    jrc_conn_set_state(engine, i, JRC_SERVER_CONNECTING);
}

/* Established while its server is connected otherwise.  What that has to prove,
 * this one has to prove as well, even if the attempt began before. */
static void join_others(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    const struct jrc_server *its = jrc_engine_server(engine, i);
    struct jrc_conn *conn = &engine->conns[i];
    bool is_proving = its->state == JRC_SERVER_PROVING;
    bool proves = engine->servers->prove_us > 0 && its->port != 0;

    if (conn->state == JRC_SERVER_GREETING) {
        jrc_conn_set_state(engine, i, JRC_SERVER_UP);
        if (is_proving)
            jrc_pool_heard(engine, i, now_us);
    } else if (conn->failures == 0 && !conn->replaces && !proves &&
               !is_proving) {
        jrc_conn_set_state(engine, i, JRC_SERVER_UP);
    } else {
        jrc_proof_begin(engine, i, now_us);
    }
}

void jrc_pool_up(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    const struct jrc_server *its = &engine->servers->list[server];
    struct jrc_conn *conn = &engine->conns[i];

    if (conn->state == JRC_SERVER_GREETING)
        conn->failures = 0; /* it has had a response */
    conn->misses = 0;
    conn->unproven = false;
    conn->trial_us = now_us;
    conn->tried_us = 0;
    conn->renew_us = jrc_renewal_due_us(engine, now_us);
    if (its->state != JRC_SERVER_CONNECTING) {
        join_others(engine, i, now_us);
    } else {
        if (conn->state == JRC_SERVER_GREETING)
            jrc_servers_greeted(engine->servers, server, now_us);
        else
            jrc_servers_up(engine->servers, server, now_us);
        jrc_conn_set_state(engine, i,
                           its->state == JRC_SERVER_PROVING ? JRC_SERVER_PROVING
                                                            : JRC_SERVER_UP);
    }
    if (engine->width > 1 && conn->state == JRC_SERVER_UP)
        jrc_renewal_settle(engine, server, now_us);
}

/* ---- the end ---- */

/* The state of a server follows its best connection down. */
static void follow_down(struct jrc_engine *engine, uint32_t server,
                        uint64_t now_us)
{
    struct jrc_server *its = &engine->servers->list[server];
    uint32_t best = jrc_conns_best(engine, server);
    struct jrc_conn *conn = &engine->conns[best];

    if (jrc_conn_worth(conn->state) >= jrc_conn_worth(its->state)) {
        /* What one has been tried with that is lost says nothing of others. */
        if (its->state == JRC_SERVER_PROVING && engine->width > 1)
            jrc_proof_inherit(engine, server);
        return;
    }
    if (jrc_conn_worth(its->state) >= jrc_conn_worth(JRC_SERVER_PROVING) &&
        jrc_renewal_bring_back(engine, server, now_us))
        return;
    jrc_servers_down(engine->servers, server, now_us, jrc_engine_roll(engine));
    if (jrc_conn_worth(conn->state) < jrc_conn_worth(JRC_SERVER_CONNECTING))
        return;
    jrc_servers_attempt(engine->servers, server, now_us);
    if (conn->state != JRC_SERVER_PROVING)
        return;
    jrc_servers_up(engine->servers, server, now_us);
    jrc_proof_inherit(engine, server);
}

void jrc_pool_lost(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_servers *servers = engine->servers;

    conn->next_us = now_us;
    if (engine->width > 1 && conn->state != JRC_SERVER_LEAVING) {
        conn->failures++;
        conn->next_us = jrc_servers_retry_us(servers, conn->failures, now_us,
                                             jrc_engine_roll(engine));
    }
    jrc_conn_set_state(engine, i, JRC_SERVER_DOWN);
    follow_down(engine, server, now_us);
}

void jrc_pool_close(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);

    jrc_conn_set_state(engine, i, JRC_SERVER_DOWN);
    engine->conns[i].next_us = now_us;
    jrc_engine_attend(engine, now_us);
    if (engine->servers->list[server].state == JRC_SERVER_LEAVING &&
        jrc_conn_worth(engine->conns[jrc_conns_best(engine, server)].state) ==
            0)
        jrc_servers_gone(engine->servers, server, now_us);
}

bool jrc_pool_renew(struct jrc_engine *engine, uint32_t server, uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    if (!jrc_servers_renew(engine->servers, server, now_us))
        return false;
    for (uint32_t i = first; i < first + engine->width; i++) {
        if (engine->conns[i].state == JRC_SERVER_DOWN)
            continue;
        if (engine->conns[i].state == JRC_SERVER_GREETING)
            jrc_greeting_drop(engine, i);
        jrc_conn_set_state(engine, i, JRC_SERVER_DOWN);
        engine->conns[i].next_us = now_us;
        engine->conns[i].deadline_us = JRC_NEVER;
        jrc_engine_want(engine, i, JRC_SHUT);
    }
    return true;
}

/* ---- the list ---- */

/* An attempt for a server that has left is over. */
static void abandon(struct jrc_engine *engine, uint32_t i)
{
    if (engine->conns[i].state == JRC_SERVER_GREETING)
        jrc_greeting_drop(engine, i);
    jrc_conn_set_state(engine, i, JRC_SERVER_DOWN);
    jrc_engine_want(engine, i, JRC_SHUT);
    engine->conns[i].todo = JRC_SHUT; /* and not to open, any more */
}

static void leave_by(struct jrc_engine *engine, uint32_t server,
                     uint64_t end_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    for (uint32_t i = first; i < first + engine->width; i++) {
        struct jrc_conn *conn = &engine->conns[i];
        if (jrc_conn_gets_calls(conn))
            jrc_renewal_leave(engine, i, end_us);
        else if (conn->state == JRC_SERVER_LEAVING)
            conn->deadline_us = end_us;
        else
            abandon(engine, i);
    }
}

void jrc_pool_leave(struct jrc_engine *engine, uint32_t server, uint64_t now_us)
{
    leave_by(engine, server,
             now_us + (uint64_t)engine->options.leave_timeout_ms * 1000);
}

void jrc_pool_release(struct jrc_engine *engine, uint32_t server)
{
    leave_by(engine, server, JRC_NEVER);
}

void jrc_pool_join(struct jrc_engine *engine, uint32_t server, uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    for (uint32_t i = first; i < first + engine->width; i++) {
        struct jrc_conn *conn = &engine->conns[i];
        if (conn->state == JRC_SERVER_LEAVING) {
            jrc_conn_set_state(engine, i, conn->before);
            conn->deadline_us = JRC_NEVER; /* that of leaving is no more */
        } else {
            conn->failures = 0;
            conn->next_us = now_us;
        }
    }
    jrc_proof_resume(engine, server, now_us);
    follow_down(engine, server, now_us);
    jrc_renewal_settle(engine, server, now_us);
}
