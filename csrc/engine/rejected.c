#include "engine/rejected.h"

/* The only call that a response without an id on connection i can be about.
 * NULL: it can be about another one, or about one that has ended. */
static struct jrc_call *only_call(const struct jrc_engine *engine, uint32_t i)
{
    const struct jrc_conn *conn = &engine->conns[i];
    size_t begun = jrc_frames_begun(&conn->out);

    if (conn->orphans.count > 0 || conn->orphans.more ||
        conn->greeting.id != 0 || conn->sent.count + begun != 1)
        return NULL;
    if (begun == 0)
        return &engine->calls->slots[conn->sent.first];
    struct jrc_call *call =
        jrc_calls_find(engine->calls, conn->out.list[conn->out.first].id);
    return call != NULL && (call->flags & JSONRPCC_NOTIFICATION) == 0 ? call
                                                                      : NULL;
}

struct jrc_call *jrc_rejected_match(struct jrc_engine *engine, uint32_t i,
                                    uint64_t now_us)
{
    struct jrc_conn *conn = &engine->conns[i];
    struct jrc_call *call = only_call(engine, i);

    if (call != NULL)
        return call;
    jrc_add(&engine->counters.rejected, 1);
    if (conn->rejected_us == 0 ||
        now_us - conn->rejected_us >= engine->servers->cap_us) {
        conn->rejected_us = now_us;
        jrc_engine_emit(engine, JSONRPCC_REJECTED, i, JSONRPCC_UNREADABLE,
                        now_us);
    }
    return NULL;
}
