#include "engine/trial.h"

#include "engine/pool.h"

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

void jrc_trial_start(struct jrc_engine *engine, const struct jrc_call *call,
                     uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[call->conn];

    if (!is_suspect(engine, (uint32_t)call->conn) ||
        (call->flags & JSONRPCC_NOTIFICATION) != 0 ||
        (conn->deadline_us != JRC_NEVER && conn->trial_id != 0))
        return;
    conn->trial_id = call->id;
    conn->deadline_us = now_us + engine->servers->trial_time_us;
    jrc_engine_attend(engine, conn->deadline_us);
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
    conn->trial_id = id;
    conn->deadline_us = now_us + engine->servers->trial_time_us;
}

uint64_t jrc_trial_moving_us(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_conn *conn = &engine->conns[i];
    const struct jrc_frames *out = &conn->out;

    if (out->written == 0 ||
        jrc_calls_find(engine->calls, out->list[out->first].id) == NULL ||
        (conn->deadline_us != JRC_NEVER && !has_none(engine, conn)))
        return 0;
    return conn->moved_us + engine->servers->trial_time_us;
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
