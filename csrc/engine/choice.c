#include "engine/choice.h"

#include <assert.h>

static size_t unsent(const struct jrc_conn *conn)
{
    return jrc_frames_size(&conn->out) - conn->out.written;
}

static bool is_better(const struct jrc_conn *a, const struct jrc_conn *b)
{
    if (a->blocked != b->blocked)
        return !a->blocked;
    if (unsent(a) != unsent(b))
        return unsent(a) < unsent(b);
    return a->sent.count < b->sent.count;
}

/* A trial of the server: they take turns, as any of them may be dead.  What
 * does not take what it already has would keep it until its deadline. */
static bool is_tried_rather(const struct jrc_conn *a, const struct jrc_conn *b)
{
    return a->blocked != b->blocked ? !a->blocked : a->tried_us < b->tried_us;
}

/* Whether one has to prove itself, and its server has another one. */
static bool is_tried_alone(const struct jrc_engine *engine, uint32_t server,
                           const struct jrc_conn *conn)
{
    return conn->state == JRC_SERVER_PROVING &&
           engine->servers->list[server].state != JRC_SERVER_PROVING;
}

/* When a connection that is tried alone is due, as jrc_servers_pick() has it of
 * a server. */
static uint64_t next_trial_us(const struct jrc_engine *engine,
                              const struct jrc_conn *conn)
{
    uint64_t proof_us =
        conn->tried_us == 0 ? 0 : conn->tried_us + engine->servers->prove_us;

    return conn->trial_us > proof_us ? conn->trial_us : proof_us;
}

/* Its trial timed out, and the response may yet come: another one would only
 * cost another call. */
static bool has_failed(const struct jrc_engine *engine, uint32_t server,
                       const struct jrc_conn *conn)
{
    return engine->servers->list[server].state == JRC_SERVER_UP &&
           conn->misses > 0 && conn->deadline_us != JRC_NEVER;
}

/* A failed trial costs its call: other calls then get cap_us. */
static void begin_trial(const struct jrc_engine *engine,
                        enum jrc_server_state state, struct jrc_conn *conn,
                        uint64_t end_us, uint64_t now_us)
{
    const struct jrc_servers *servers = engine->servers;

    if (end_us > now_us + servers->trial_time_us)
        end_us = now_us + servers->trial_time_us;
    if (state == JRC_SERVER_UP)
        conn->deadline_us = JRC_NEVER; /* to stay up proves nothing any more */
    conn->tried_us = now_us;
    conn->trial_us = (end_us > now_us ? end_us : now_us) + servers->cap_us;
}

uint32_t jrc_choice_pick(struct jrc_engine *engine, uint32_t server,
                         uint64_t end_us, bool may_try, bool *trial,
                         uint64_t now_us)
{
    uint32_t first = jrc_engine_first_conn(engine, server);
    struct jrc_server *its = &engine->servers->list[server];
    uint32_t best = JRC_NO_CONN;

    for (uint32_t n = 0; n < engine->width; n++) {
        uint32_t i = first + (its->turn + n) % engine->width;
        struct jrc_conn *conn = &engine->conns[i];
        if (is_tried_alone(engine, server, conn)) {
            if (!may_try || next_trial_us(engine, conn) > now_us ||
                conn->blocked || has_failed(engine, server, conn))
                continue;
            if (!*trial) {
                begin_trial(engine, its->state, conn, end_us, now_us);
                *trial = true;
                return i;
            }
        }
        if (jrc_conn_gets_calls(conn) &&
            (best == JRC_NO_CONN ||
             (*trial ? is_tried_rather(conn, &engine->conns[best])
                     : is_better(conn, &engine->conns[best]))))
            best = i;
    }
    assert(best != JRC_NO_CONN);
    if (*trial) {
        engine->conns[best].trial_us = its->trial_us;
        engine->conns[best].tried_us = now_us;
    }
    its->turn = best - first + 1;
    return best;
}

uint32_t jrc_choice_sole(const struct jrc_engine *engine, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(engine, server);
    uint32_t sole = JRC_NO_CONN;

    if (engine->width == 1)
        return first;
    for (uint32_t i = first; i < first + engine->width; i++) {
        if (!jrc_conn_gets_calls(&engine->conns[i]))
            continue;
        if (sole != JRC_NO_CONN)
            return JRC_NO_CONN;
        sole = i;
    }
    return sole;
}

bool jrc_choice_is_blocked(const struct jrc_engine *engine, uint32_t server)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    for (uint32_t i = first; i < first + engine->width; i++) {
        const struct jrc_conn *conn = &engine->conns[i];
        if (jrc_conn_gets_calls(conn) && !conn->blocked &&
            !is_tried_alone(engine, server, conn))
            return false;
    }
    return true;
}
