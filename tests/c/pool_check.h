/* A rig for tests of several connections to a server. */
#ifndef POOL_CHECK_H
#define POOL_CHECK_H

#include "check.h"
#include "rig.h"

enum { MS = 1000, SECOND = 1000 * MS };

static struct rig rig;

static inline enum jrc_server_state state(uint32_t i)
{
    return rig.servers.list[i].state;
}

static inline enum jrc_server_state conn(uint32_t i)
{
    return rig.engine.conns[i].state;
}

static inline void open_all(uint32_t from, uint32_t to)
{
    rig_wait(&rig, 0);
    for (uint32_t i = from; i < to; i++)
        if (conn(i) == JRC_SERVER_CONNECTING)
            jrc_engine_opened(&rig.engine, i, rig.now_us);
    rig_wait(&rig, 0);
    rig_todo(&rig, 0);
}

/* Start with one server that has this many connections, all up. */
static inline void start(int32_t connections, int32_t age_ms)
{
    rig_start_wide(&rig, "h:1", connections, age_ms);
    open_all(0, 1);
    open_all(1, (uint32_t)connections);
    CHECK(state(0) == JRC_SERVER_UP);
    for (uint32_t i = 0; i < (uint32_t)connections; i++)
        CHECK(conn(i) == JRC_SERVER_UP);
}

static inline int32_t conn_of(uint64_t id)
{
    return jrc_calls_find(&rig.calls, id)->conn;
}

static inline void reply_to(uint32_t i, uint64_t id)
{
    rig_reply(&rig, i, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
}

#endif
