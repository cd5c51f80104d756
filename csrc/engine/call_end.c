#include "engine/call_end.h"

#include "engine/trial.h"

static bool is_begun(const struct jrc_engine *engine,
                     const struct jrc_call *call)
{
    const struct jrc_frames *out = &engine->conns[call->conn].out;
    size_t begun = jrc_frames_begun(out);

    for (size_t n = 0; n < begun; n++)
        if (out->list[out->first + n].id == call->id)
            return true;
    return false;
}

bool jrc_dispatch_has_begun(const struct jrc_engine *engine,
                            const struct jrc_call *call)
{
    return call->state == JRC_CALL_QUEUED && is_begun(engine, call);
}

static bool is_dead(const void *arg, uint64_t id)
{
    return id > JRC_HELLO_IDS && jrc_calls_find(arg, id) == NULL;
}

void jrc_dispatch_purge(struct jrc_engine *engine, struct jrc_frames *frames)
{
    size_t before = jrc_frames_size(frames);

    jrc_frames_purge(frames, is_dead, engine->calls);
    engine->held_bytes -= before - jrc_frames_size(frames);
}

/* The frame of a call that has ended stays in its queue.  Sweep before half of
 * the bytes are dead, since they count towards the limit of queued bytes. */
static void count_dead(struct jrc_engine *engine, struct jrc_frames *frames,
                       size_t len)
{
    frames->dead += len;
    if (frames->dead > jrc_frames_size(frames) / 2)
        jrc_dispatch_purge(engine, frames);
}

/* The call was sent, and no longer waits for its response. */
static void orphan(struct jrc_orphans *orphans, uint64_t id)
{
    if (orphans->count < JRC_ORPHANS)
        orphans->ids[orphans->count++] = id;
    else
        orphans->more = true;
}

/* A call that was sent, and is to be sent again, waits once more. */
static void note_times(jsonrpcc_outcome *outcome, const struct jrc_call *call,
                       uint64_t now_us)
{
    uint64_t elapsed_us = now_us - call->start_us;
    uint64_t waited_us = call->state == JRC_CALL_SENT
                             ? call->sent_us - call->start_us
                             : elapsed_us;
    uint64_t given_us = call->given_us != 0 ? call->given_us : now_us;

    outcome->elapsed_us = elapsed_us;
    outcome->waited_us = waited_us;
    outcome->room_us = call->accepted_us - call->start_us;
    outcome->server_us = given_us - call->accepted_us;
    outcome->answered_us =
        outcome->fate == JSONRPCC_ANSWERED ? elapsed_us - waited_us : 0;
}

void jrc_dispatch_finish(struct jrc_engine *engine, struct jrc_call *call,
                         jsonrpcc_outcome *outcome, uint64_t now_us)
{
    uint8_t state = call->state;
    int32_t i = call->conn;

    outcome->server =
        i < 0 ? -1 : (int32_t)jrc_engine_server_of(engine, (uint32_t)i);
    outcome->attempts = call->sends;
    note_times(outcome, call, now_us);
    if (state == JRC_CALL_SENT) {
        struct jrc_conn *conn = &engine->conns[i];
        jrc_call_list_remove(engine->calls, &conn->sent, call);
        if (outcome->fate != JSONRPCC_ANSWERED)
            orphan(&conn->orphans, call->id);
        atomic_store_explicit(&conn->in_flight, conn->sent.count,
                              memory_order_relaxed);
    }
    jrc_calls_take(engine->calls, call);
    if (state == JRC_CALL_QUEUED)
        count_dead(engine, &engine->conns[i].out, call->frame_len);
    else if (state == JRC_CALL_WAITING)
        count_dead(engine, &engine->waiting, call->frame_len);
    if ((call->role & JRC_TRIAL) != 0 && outcome->fate != JSONRPCC_ANSWERED)
        jrc_trial_end(engine, (uint32_t)i, call,
                      state != JRC_CALL_QUEUED || is_begun(engine, call),
                      now_us);
    struct jrc_tally *tally = &engine->tallies[call->method];
    jrc_add(&tally->outcomes[outcome->status], 1);
    if (outcome->fate == JSONRPCC_ANSWERED) {
        jrc_add(&tally->latency[jrc_bucket(outcome->elapsed_us)], 1);
        jrc_add(&tally->latency_sum_us, outcome->elapsed_us);
    }
    engine->sink.outcome(engine->sink.arg, call, outcome);
}

void jrc_dispatch_fail(struct jrc_engine *engine, struct jrc_call *call,
                       jsonrpcc_status status, int32_t reason, uint64_t now_us)
{
    bool gone = call->sends > 0 || jrc_dispatch_has_begun(engine, call);
    jsonrpcc_outcome outcome = {
        .status = status,
        .fate = gone ? JSONRPCC_UNKNOWN : JSONRPCC_NOT_SENT,
        .reason = reason,
    };

    jrc_dispatch_finish(engine, call, &outcome, now_us);
}
