#include "engine/tick.h"

#include "engine/changes.h"
#include "engine/connection.h"
#include "engine/dispatch.h"
#include "engine/greeting.h"
#include "engine/names.h"
#include "engine/pool.h"
#include "engine/spares.h"
#include "engine/trial.h"

/* The server of connection i has become a suspect. */
static void suspect(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    uint32_t first = jrc_engine_first_conn(engine, server);
    uint32_t end = first + engine->width;

    jrc_pool_suspect(engine, server, JRC_NEVER);
    atomic_store_explicit(&engine->servers->list[server].reason,
                          JSONRPCC_UNRESPONSIVE, memory_order_relaxed);
    jrc_engine_emit(engine, JSONRPCC_SUSPECT, i, JSONRPCC_UNRESPONSIVE, now_us);
    for (uint32_t k = first; k < end; k++)
        jrc_trial_mark_elders(engine, k);
    for (uint32_t k = first; k < end; k++)
        jrc_dispatch_reroute_unsent(engine, k, now_us);
}

static void expire(struct jrc_engine *engine, struct jrc_call *call,
                   uint64_t now_us)
{
    uint32_t i = (uint32_t)call->conn;
    bool given = call->state == JRC_CALL_SENT || call->state == JRC_CALL_QUEUED;
    bool trial = (call->role & JRC_TRIAL) != 0;
    bool closed = engine->closing;

    jrc_dispatch_fail(engine, call,
                      closed ? JSONRPCC_ECLOSED : JSONRPCC_ETIMEDOUT, 0,
                      now_us);
    if (!given || closed)
        return;
    jrc_add(&engine->conns[i].timeouts, 1);
    if (call->start_us < engine->reading_us)
        return; /* its response may lie in our own buffer */
    if (jrc_pool_timed_out(engine, i, now_us, trial))
        suspect(engine, i, now_us);
}

static bool has_elder(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_call_list *sent = &engine->conns[i].sent;

    return sent->count > 0 &&
           (engine->calls->slots[sent->first].role & JRC_ELDER) != 0;
}

/* When a suspect's connection has had its time, as all of them get.  It may
 * have got calls, but no trial, or be about to get one.  0: it has got nothing.
 */
static uint64_t end_us(struct jrc_engine *engine, uint32_t i)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (!jrc_conn_gets_calls(conn))
        return 0;
    bool is_timed = conn->deadline_us != JRC_NEVER && conn->trial_id != 0;
    if (!is_timed && conn->sent.count > 0) {
        const struct jrc_call *oldest = &engine->calls->slots[conn->sent.first];
        conn->trial_id = oldest->id;
        conn->deadline_us = oldest->sent_us + engine->servers->trial_time_us;
        conn->trial_end = 0;
    }
    uint64_t moving_us = jrc_trial_moving_us(engine, i);
    return conn->deadline_us == JRC_NEVER || conn->deadline_us < moving_us
               ? moving_us
               : conn->deadline_us;
}

/* A suspect's connections have brought no response since its trial.  The server
 * may be well and they dead without notice, for example because a router has
 * forgotten them: try a new one.  Calls that were sent before the suspicion and
 * still wait may just be slow, and are left alone. */
static void renew(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);
    uint32_t first = jrc_engine_first_conn(engine, server);
    uint32_t had = 0;      /* bits: which of them were established */
    bool is_alone = false; /* as others are left alone */
    bool asks = false;
    uint64_t last_us = 0;

    if (has_elder(engine, i)) {
        engine->conns[i].deadline_us = now_us + engine->servers->trial_time_us;
        return;
    }
    for (uint32_t k = 0; k < engine->width; k++) {
        enum jrc_server_state state = engine->conns[first + k].state;
        is_alone |= has_elder(engine, first + k);
        if (jrc_state_is_connected(state) && state != JRC_SERVER_GREETING)
            had |= UINT32_C(1) << k;
    }
    for (uint32_t k = 0; k < engine->width; k++) {
        uint64_t its_us =
            is_alone && first + k != i ? 0 : end_us(engine, first + k);
        if (its_us > last_us)
            last_us = its_us;
        asks |= its_us > 0 && its_us <= now_us &&
                jrc_trial_asks(engine, first + k, its_us);
    }
    if (asks)
        return; /* and look again, with the answer */
    if (last_us > now_us) {
        engine->conns[i].deadline_us = last_us;
        return;
    }
    engine->conns[i].deadline_us = JRC_NEVER;
    if (is_alone) {
        jrc_engine_drop(engine, i, JSONRPCC_UNRESPONSIVE, now_us);
        return;
    }
    if (!jrc_pool_renew(engine, server, now_us))
        return;
    for (uint32_t k = 0; k < engine->width; k++)
        if ((had >> k & 1) != 0)
            jrc_engine_on_disconnect(engine, first + k, true,
                                     JSONRPCC_UNRESPONSIVE, now_us);
}

/* The time for a connection's trial is up. */
static void end_time(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    enum jrc_server_state state = jrc_engine_server(engine, i)->state;

    if (conn->deadline_us < now_us && conn->deadline_us != conn->looked_us) {
        /* The response may be here, and we late ourselves. */
        conn->deadline_us = conn->looked_us = now_us;
        return;
    }
    if (state == JRC_SERVER_SUSPECT) {
        renew(engine, i, now_us);
        return;
    }
    conn->deadline_us = JRC_NEVER;
    if (conn->state != JRC_SERVER_PROVING)
        return;
    if (conn->misses > 0 && state == JRC_SERVER_UP) {
        jrc_engine_drop(engine, i, JSONRPCC_UNRESPONSIVE, now_us);
        return;
    }
    /* It took a notification, or nothing was sent, and it has stayed up. */
    if (conn->sent.count == 0 || state == JRC_SERVER_PROVING)
        jrc_pool_answered(engine, i, now_us);
}

static bool is_pinged(const struct jrc_engine *engine, uint32_t i)
{
    return engine->conns[i].state == JRC_SERVER_UP &&
           jrc_engine_server(engine, i)->state == JRC_SERVER_UP;
}

static uint64_t due_us(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_conn *conn = &engine->conns[i];

    if (conn->state == JRC_SERVER_DOWN)
        return jrc_pool_due_us(engine, i);
    if (conn->state == JRC_SERVER_CONNECTING)
        return conn->deadline_us;
    if (engine->reading_us == JRC_NEVER)
        return JRC_NEVER;
    uint64_t ping_us =
        is_pinged(engine, i) ? jrc_greeting_due_us(engine, i) : JRC_NEVER;
    return ping_us < conn->deadline_us ? ping_us : conn->deadline_us;
}

/* A ping has had no response: replace the connection.  The only one of a server
 * is renewed at once, as that of a suspect. */
static void end_ping(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    if (!jrc_pool_is_only(engine, i)) {
        jrc_engine_drop(engine, i, JSONRPCC_PING_TIMEOUT, now_us);
    } else {
        if (!jrc_pool_renew(engine, jrc_engine_server_of(engine, i), now_us))
            return;
        jrc_engine_on_disconnect(engine, i, true, JSONRPCC_PING_TIMEOUT,
                                 now_us);
    }
    jrc_add(&engine->counters.pings_failed, 1);
}

/* What a deadline ends that holds only while we read. */
static void end_silence(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (engine->reading_us == JRC_NEVER)
        return;
    if (conn->state == JRC_SERVER_GREETING && conn->deadline_us <= now_us)
        jrc_greeting_late(engine, i, now_us);
    else if (jrc_conn_gets_calls(conn) && conn->deadline_us <= now_us)
        end_time(engine, i, now_us);
    if (is_pinged(engine, i) && jrc_greeting_ping(engine, i, now_us))
        end_ping(engine, i, now_us);
}

/* Start attempts that are due, stop addresses that take too long, and renew
 * connections whose trial failed. */
static void tick_conns(struct jrc_engine *engine, uint64_t now_us)
{
    uint64_t soonest = JRC_NEVER;

    engine->conns_us = JRC_NEVER;
    for (uint32_t i = 0; i < jrc_engine_conn_count(engine); i++) {
        struct jrc_conn *conn = &engine->conns[i];
        end_silence(engine, i, now_us);
        if (conn->state == JRC_SERVER_DOWN &&
            jrc_pool_due_us(engine, i) <= now_us) {
            jrc_pool_attempt(engine, i, now_us);
            conn->deadline_us = JRC_NEVER;
            conn->greeting.why = 0;
            jrc_engine_want(engine, i, JRC_OPEN);
        } else if (conn->state == JRC_SERVER_CONNECTING &&
                   conn->deadline_us <= now_us) {
            conn->deadline_us = JRC_NEVER;
            jrc_engine_want(engine, i, JRC_NEXT_ADDRESS);
        }
        uint64_t due = due_us(engine, i);
        if (due < soonest)
            soonest = due;
    }
    /* What one does may concern others of its server, looked at before. */
    if (engine->width == 1 || soonest < engine->conns_us)
        engine->conns_us = soonest;
}

void jrc_engine_tick(struct jrc_engine *engine, uint64_t now_us)
{
    if (now_us >= engine->calls->soonest_us) {
        uint32_t at = 0;
        struct jrc_call *call;
        do {
            call = jrc_calls_expired(engine->calls, now_us, &at);
            if (call != NULL)
                expire(engine, call, now_us);
        } while (call != NULL);
    }
    if (now_us >= engine->servers->subset.due_us)
        jrc_spares_tick(engine, now_us);
    /* Even while closing: what lingers may be waiting for a first attempt. */
    if (now_us >= engine->conns_us)
        tick_conns(engine, now_us);
    if (now_us >= engine->names_us)
        jrc_names_tick(engine, now_us);
    if (jrc_changes_pending(engine))
        jrc_changes_tick(engine, now_us);
    jrc_dispatch_flush_waiting(engine, now_us);
}

uint64_t jrc_engine_next_us(const struct jrc_engine *engine)
{
    uint64_t next_us = engine->calls->soonest_us;

    if (engine->conns_us < next_us)
        next_us = engine->conns_us;
    if (engine->names_us < next_us)
        next_us = engine->names_us;
    if (engine->wanted_us < next_us)
        next_us = engine->wanted_us;
    if (engine->servers->subset.due_us < next_us)
        next_us = engine->servers->subset.due_us;
    if (engine->outlook != JRC_OUTLOOK_PENDING)
        return next_us;
    uint64_t peek_us = jrc_servers_peek_us(engine->servers);
    return peek_us < next_us ? peek_us : next_us;
}
