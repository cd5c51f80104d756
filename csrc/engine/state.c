#include "engine/state.h"

void jrc_conn_reset(struct jrc_conn *conn)
{
    _Atomic uint64_t *const counters[] = {
        &conn->connects,   &conn->losses,         &conn->attempts_failed,
        &conn->sends,      &conn->responses,      &conn->timeouts,
        &conn->bytes_sent, &conn->bytes_received, &conn->renewals};

    for (size_t n = 0; n < sizeof counters / sizeof counters[0]; n++)
        atomic_store_explicit(counters[n], 0, memory_order_relaxed);
}

void jrc_engine_want(struct jrc_engine *engine, uint32_t i, uint32_t todo)
{
    struct jrc_conn *conn = &engine->conns[i];

    if (conn->todo == 0) {
        conn->todo_next = engine->todo_first;
        engine->todo_first = i;
    }
    conn->todo |= todo;
}

void jrc_engine_attend(struct jrc_engine *engine, uint64_t at_us)
{
    if (at_us < engine->conns_us)
        engine->conns_us = at_us;
}

void jrc_engine_emit(struct jrc_engine *engine, jsonrpcc_event_kind kind,
                     uint32_t i, int32_t reason, uint64_t now_us)
{
    jsonrpcc_event event = {
        .kind = kind,
        .server =
            i == JRC_NO_CONN ? -1 : (int32_t)jrc_engine_server_of(engine, i),
        .reason = reason,
        .time_us = now_us,
    };

    if (reason == JSONRPCC_HELLO_REFUSED && i != JRC_NO_CONN)
        event.code = jrc_engine_server(engine, i)->code;
    jrc_add(&engine->counters.events[kind], 1);
    engine->sink.event(engine->sink.arg, &event);
}

/* xorshift64* */
uint32_t jrc_engine_roll(struct jrc_engine *engine)
{
    engine->random ^= engine->random >> 12;
    engine->random ^= engine->random << 25;
    engine->random ^= engine->random >> 27;
    return (uint32_t)((engine->random * 0x2545f4914f6cdd1dULL) >> 32);
}
