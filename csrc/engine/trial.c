#include "engine/trial.h"

#include "engine/pool.h"

/* Our system takes more than this at once for a slow link. */
enum { LARGE = 65536 };

static bool is_suspect(const struct jrc_engine *engine, uint32_t i)
{
    return jrc_engine_server(engine, i)->state == JRC_SERVER_SUSPECT;
}

void jrc_trial_begin(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_server *server = jrc_engine_server(engine, i);
    bool is_first = server->state == JRC_SERVER_PROVING && server->unproven;

    if (conn->deadline_us != JRC_NEVER)
        return;
    conn->deadline_us = now_us + (is_first ? engine->servers->prove_us
                                           : engine->servers->trial_time_us);
    jrc_engine_attend(engine, conn->deadline_us);
}

/* From now on its silence counts. */
static void begin(struct jrc_engine *engine, uint32_t i, uint64_t id,
                  uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    conn->trial_id = id;
    conn->trial_end = jrc_read(&conn->bytes_sent);
    conn->taken = JRC_NEVER;
    conn->deadline_us = now_us + engine->servers->trial_time_us;
    jrc_engine_attend(engine, conn->deadline_us);
    jrc_engine_want(engine, i, JRC_MEASURE);
}

void jrc_trial_start(struct jrc_engine *engine, const struct jrc_call *call,
                     uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[call->conn];

    if (!is_suspect(engine, (uint32_t)call->conn) ||
        (call->flags & JSONRPCC_NOTIFICATION) != 0 ||
        (conn->deadline_us != JRC_NEVER && conn->trial_id != 0))
        return;
    begin(engine, (uint32_t)call->conn, call->id, now_us);
}

/* Whether a suspect's connection has got no request whole since its trial
 * began. */
static bool has_none(const struct jrc_engine *engine,
                     const struct jrc_conn *conn)
{
    const struct jrc_call *trial =
        jrc_calls_find(engine->calls, conn->trial_id);

    return conn->trial_id == 0 ||
           (trial != NULL && trial->state == JRC_CALL_QUEUED);
}

void jrc_trial_sent(struct jrc_engine *engine, uint32_t i, uint64_t id,
                    uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_call *call = jrc_calls_find(engine->calls, id);

    if (conn->deadline_us == JRC_NEVER || !is_suspect(engine, i))
        return;
    if (id != conn->trial_id &&
        (call == NULL || (call->flags & JSONRPCC_NOTIFICATION) != 0 ||
         !has_none(engine, conn)))
        return;
    begin(engine, i, id, now_us);
}

/* Whether the first request has begun to leave, and its call waits. */
static bool is_leaving(const struct jrc_engine *engine,
                       const struct jrc_conn *conn)
{
    const struct jrc_frames *out = &conn->out;

    return out->written > 0 &&
           jrc_calls_find(engine->calls, out->list[out->first].id) != NULL &&
           (conn->deadline_us == JRC_NEVER || has_none(engine, conn));
}

uint64_t jrc_trial_moving_us(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_conn *conn = &engine->conns[i];

    return is_leaving(engine, conn)
               ? conn->moved_us + engine->servers->trial_time_us
               : 0;
}

/* Whether so much of the first request was on its way, when that was last
 * measured, that a slow link may take longer than a trial. */
static bool is_under_way(const struct jrc_engine *engine,
                         const struct jrc_conn *conn)
{
    uint64_t end = is_leaving(engine, conn) ? jrc_read(&conn->bytes_sent)
                   : jrc_calls_find(engine->calls, conn->trial_id) != NULL
                       ? conn->trial_end
                       : 0;

    return conn->taken < end && end - conn->taken >= LARGE;
}

bool jrc_trial_asks(struct jrc_engine *engine, uint32_t i, uint64_t end_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (end_us == conn->measured_us || !is_under_way(engine, conn))
        return false;
    conn->measured_us = end_us;
    jrc_engine_want(engine, i, JRC_MEASURE);
    return true;
}

void jrc_trial_measured(struct jrc_engine *engine, uint32_t i, uint64_t taken,
                        uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    bool is_alive = is_suspect(engine, i) && jrc_conn_gets_calls(conn) &&
                    is_under_way(engine, conn) && taken > conn->taken;

    if (is_alive && is_leaving(engine, conn))
        conn->moved_us = now_us;
    else if (is_alive && conn->deadline_us != JRC_NEVER)
        conn->deadline_us = now_us + engine->servers->trial_time_us;
    conn->taken = taken;
}

void jrc_trial_end(struct jrc_engine *engine, uint32_t i,
                   const struct jrc_call *call, bool is_sent, uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];

    jrc_pool_tried(engine, i, now_us);
    if (!is_sent && call->id == conn->trial_id && is_suspect(engine, i))
        conn->deadline_us = JRC_NEVER;
    if (conn->state == JRC_SERVER_PROVING && !is_suspect(engine, i) &&
        (call->flags & JSONRPCC_NOTIFICATION) != 0 && call->sends > 0)
        jrc_trial_begin(engine, i, now_us);
}

void jrc_trial_choose(struct jrc_engine *engine,
                      const struct jrc_frames *frames, uint64_t now_us)
{
    /* That of a connection whose server has another one may not be due yet. */
    bool may_be_due = engine->width > 1 && engine->proving > 0;

    if (!may_be_due && !jrc_servers_trial_due(engine->servers, now_us))
        return;
    for (size_t n = frames->first; n < frames->last; n++) {
        uint64_t id = frames->list[n].id;
        unsigned flags = jrc_calls_slot(engine->calls, id)->flags;
        if ((flags & JSONRPCC_NOTIFICATION) != 0)
            continue; /* such a trial would prove little */
        if (engine->chosen == 0)
            engine->chosen = id;
        if ((flags & JSONRPCC_IDEMPOTENT) == 0)
            continue;
        engine->chosen = id;
        break;
    }
}

void jrc_trial_mark_elders(struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_call_list *sent = &engine->conns[i].sent;
    uint32_t at = sent->first;

    for (uint32_t n = 0; n < sent->count; n++) {
        engine->calls->slots[at].role |= JRC_ELDER;
        at = engine->calls->slots[at].next;
    }
}
