#include "engine/changes.h"

#include "engine/connection.h"
#include "engine/dispatch.h"
#include "engine/greeting.h"
#include "engine/pool.h"
#include "engine/servers_set.h"

#include <string.h>

/* ---- joining and leaving ---- */

/* The slot may have been another server's. */
static void join(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, i);
    struct jrc_server *server = &engine->servers->list[i];
    bool is_another = engine->conns[first].uses != server->uses;

    for (uint32_t k = first; is_another && k < first + engine->width; k++) {
        jrc_conn_reset(&engine->conns[k]);
        engine->conns[k].uses = server->uses;
    }
    if (is_another) {
        atomic_store_explicit(&server->reason, 0, memory_order_relaxed);
        atomic_store_explicit(&server->code, 0, memory_order_relaxed);
    }
    server->unreachable = false;
    jrc_pool_join(engine, i, now_us);
    if (server->state == JRC_SERVER_DOWN)
        jrc_engine_attend(engine, server->next_us);
    jrc_engine_emit(engine, JSONRPCC_ADDED, first, 0, now_us);
}

static void leave(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, i);

    jrc_engine_emit(engine, JSONRPCC_LEAVING, first, 0, now_us);
    jrc_pool_leave(engine, i, now_us);
    if (engine->servers->list[i].state == JRC_SERVER_GONE)
        jrc_engine_emit(engine, JSONRPCC_GONE, first, 0, now_us);
}

/* The priority to which calls went last, that of group 0 before the first. */
static int32_t last_priority(const struct jrc_engine *engine)
{
    for (size_t i = 0; i < engine->servers->count; i++)
        if (engine->servers->list[i].group == engine->last_group)
            return engine->servers->list[i].priority;
    return INT32_MIN;
}

/* The groups have new numbers: that of the best one which is no better. */
static uint32_t group_of(const struct jrc_servers *servers, int32_t priority)
{
    uint32_t group = servers->group_count;

    for (size_t i = 0; i < servers->count; i++)
        if (servers->list[i].group < group &&
            servers->list[i].priority <= priority)
            group = servers->list[i].group;
    return group;
}

static void announce(struct jrc_engine *engine, uint64_t now_us)
{
    for (uint32_t i = 0; i < engine->servers->count; i++) {
        if (engine->servers->list[i].change == JRC_JOINED)
            join(engine, i, now_us);
        else if (engine->servers->list[i].change == JRC_LEFT)
            leave(engine, i, now_us);
    }
}

/* Take in the wanted list.  False: not now. */
static bool take_in(struct jrc_engine *engine, uint64_t now_us)
{
    int32_t priority = last_priority(engine);
    bool was_empty = engine->servers->group_count == 0;

    if (!jrc_servers_set(engine->servers, &engine->wanted, now_us,
                         jrc_engine_roll(engine), &engine->wanted_us))
        return false;
    jrc_server_list_clear(&engine->wanted);
    engine->wanted_us = JRC_NEVER;
    engine->last_group = was_empty ? 0 : group_of(engine->servers, priority);
    announce(engine, now_us);
    jrc_engine_attend(engine, now_us);
    return true;
}

void jrc_changes_use(struct jrc_engine *engine, struct jrc_server_list *list,
                     uint64_t now_us)
{
    jrc_server_list_clear(&engine->wanted);
    engine->wanted = *list;
    memset(list, 0, sizeof *list);
    if (take_in(engine, now_us)) {
        jrc_changes_tick(engine, now_us);
        jrc_dispatch_flush_waiting(engine, now_us);
    } else {
        jrc_engine_emit(engine, JSONRPCC_LIST_REFUSED, JRC_NO_CONN, 0, now_us);
    }
}

/* ---- the way out ---- */

/* What can go elsewhere does; without anybody to take it, it stays. */
static void move_unsent(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    const struct jrc_frames *out = &engine->conns[i].out;

    if (out->last - out->first > jrc_frames_begun(out))
        jrc_dispatch_reroute_unsent(engine, i, now_us);
}

static bool is_idle(struct jrc_engine *engine, uint32_t i)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (conn->out.dead > 0)
        jrc_dispatch_purge(engine, &conn->out);
    return conn->sent.count == 0 && jrc_frames_empty(&conn->out);
}

/* False: it is leaving no more. */
static bool let_go(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    uint32_t server = jrc_engine_server_of(engine, i);

    if (engine->conns[i].state != JRC_SERVER_LEAVING)
        return false;
    move_unsent(engine, i, now_us);
    if (is_idle(engine, i)) {
        jrc_greeting_drop(engine, i);
        jrc_pool_close(engine, i, now_us);
        jrc_engine_want(engine, i, JRC_SHUT);
        if (engine->servers->list[server].state == JRC_SERVER_GONE)
            jrc_engine_emit(engine, JSONRPCC_GONE, i, 0, now_us);
        return false;
    }
    if (engine->reading_us == JRC_NEVER)
        return true; /* what it waits for may lie in our own buffer */
    if (engine->conns[i].deadline_us <= now_us) {
        jrc_engine_drop(engine, i, JSONRPCC_LEAVE_TIMEOUT, now_us);
        return false;
    }
    jrc_engine_attend(engine, engine->conns[i].deadline_us);
    return true;
}

void jrc_changes_tick(struct jrc_engine *engine, uint64_t now_us)
{
    uint32_t i = engine->leaving;

    engine->leaving = JRC_NO_CONN;
    while (i != JRC_NO_CONN) {
        struct jrc_conn *conn = &engine->conns[i];
        uint32_t next = conn->leaving_next;
        conn->is_leaving = let_go(engine, i, now_us);
        if (conn->is_leaving) {
            conn->leaving_next = engine->leaving;
            engine->leaving = i;
        }
        i = next;
    }
    if (engine->wanted_us <= now_us)
        take_in(engine, now_us);
}
