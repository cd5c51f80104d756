/* Pings: what an idle connection sends, and what silence after that means. */
#include "hello_check.h"

enum { INTERVAL = 10 * S, LEAST = 9 * S, MOST = 11 * S };

static void start_pings(const char *servers)
{
    const jsonrpcc_call call = call_of("rpc.ping", NULL);

    rig_start_down(&rig, servers, -1);
    rig.engine.options.ping_interval_ms = INTERVAL / 1000;
    set_hello(&call, 1);
    for (uint32_t i = 0; i < rig.servers.count; i++) {
        jrc_engine_connecting(&rig.engine, i, rig.now_us);
        jrc_engine_opened(&rig.engine, i, rig.now_us);
        sent_by(i);
        answer(i, 1);
        CHECK(state(i) == JRC_SERVER_UP);
        todo(i);
    }
}

/* Let the time come at which a ping is due; returns how long that took. */
static uint64_t await_ping(uint32_t i)
{
    uint64_t began_us = rig.now_us;

    while (rig_output(&rig, i) == 0 && rig.now_us - began_us < 60 * S) {
        uint64_t next_us = jrc_engine_next_us(&rig.engine);
        CHECK(next_us > rig.now_us);
        rig_wait(&rig, next_us - rig.now_us);
    }
    todo(i);
    return rig.now_us - began_us;
}

static void test_an_idle_connection_is_pinged_again_and_again(void)
{
    start_pings("a:1");
    for (unsigned n = 2; n < 40; n++) {
        uint64_t took_us = await_ping(0);
        CHECK(took_us >= LEAST && took_us <= MOST);
        sent_by(0);
        rig_wait(&rig, S / 2);
        answer(0, (n - 1) % JRC_HELLO_IDS + 1);
        rig_wait(&rig, S / 2 + 1);
        CHECK(state(0) == JRC_SERVER_UP);
        rig.now_us -= S / 2 + 1; /* the interval counts from the answer */
    }
    CHECK(rig.engine.counters.pings == 38);
    CHECK(rig.engine.counters.unmatched == 0);
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 1);
    finish();
}

static void test_a_busy_connection_is_not_pinged(void)
{
    start_pings("a:1");
    for (uint64_t token = 1; token <= 100; token++) {
        uint64_t id = rig_call(&rig, token, 0, 60000);
        CHECK(rig_send(&rig, 0, ALL) <= FRAME + 2);
        rig_wait(&rig, S);
        rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}",
                  (unsigned long long)id);
        rig_wait(&rig, S);
    }
    rig_call(&rig, 101, 0, 3600000); /* a long wait is not idle, either */
    rig_send(&rig, 0, ALL);
    for (int n = 0; n < 100; n++)
        rig_wait(&rig, S);
    CHECK(rig.engine.counters.pings == 0 && rig_output(&rig, 0) == 0);
    CHECK(state(0) == JRC_SERVER_UP);
    finish();
}

static void test_a_ping_without_an_answer_renews_the_connection(void)
{
    start_pings("a:1");
    await_ping(0);
    sent_by(0);
    rig_wait(&rig, S - 1);
    CHECK(state(0) == JRC_SERVER_UP);
    rig_wait(&rig, 1);
    CHECK(state(0) == JRC_SERVER_UP); /* one more look */
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    CHECK(todo(0) == (JRC_SHUT | JRC_OPEN));
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig.servers.list[0].reason == JSONRPCC_PING_TIMEOUT);
    CHECK(rig.engine.counters.pings_failed == 1);
    rig_call(&rig, 1, 0, 5000); /* waits for the new connection */
    CHECK(rig_outcome(&rig, 1) == NULL);
    jrc_engine_connecting(&rig.engine, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    sent_by(0);
    answer(0, 1);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_send(&rig, 0, ALL) == FRAME);
    finish();
}

/* That would end the old one, too, which still has a call. */
static void test_a_ping_costs_no_call_of_a_connection_that_leaves(void)
{
    const jsonrpcc_call call = call_of("rpc.ping", NULL);

    rig_start_wide(&rig, "a:1", 1, 5000);
    rig.engine.options.ping_interval_ms = INTERVAL / 1000;
    set_hello(&call, 1);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    sent_by(0);
    answer(0, 1);
    uint64_t id = rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, 6 * S);
    rig.engine.options.max_connection_age_ms = 3600000;
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    sent_by(1);
    answer(1, 1);
    rig_wait(&rig, 0);
    CHECK(rig_events(&rig, JSONRPCC_RENEWED, 0) == 1);
    await_ping(1);
    sent_by(1);
    rig_wait(&rig, S);
    rig_wait(&rig, 0);
    CHECK(rig.engine.counters.pings_failed == 1);
    CHECK(rig_outcome(&rig, 1) == NULL && state(0) == JRC_SERVER_UP);
    answer(0, (unsigned)id);
    IS(1, OK, ANSWERED);
    finish();
}

/* Calls that were sent meanwhile have deadlines of their own. */
static void test_a_ping_costs_no_call(void)
{
    start_pings("a:1");
    await_ping(0);
    sent_by(0);
    uint64_t id = rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, ALL);
    for (int n = 0; n < 30; n++)
        rig_wait(&rig, S);
    CHECK(state(0) == JRC_SERVER_UP && rig_outcome(&rig, 1) == NULL);
    answer(0, (unsigned)id);
    IS(1, OK, ANSWERED);
    rig_wait(&rig, S);
    rig_wait(&rig, S);
    CHECK(state(0) == JRC_SERVER_UP); /* it answers */
    answer(0, 2);                     /* at last */
    CHECK(await_ping(0) <= MOST);
    finish();
}

static void test_no_ping_without_attempts_to_spare(void)
{
    const jsonrpcc_call call = call_of("rpc.ping", NULL);

    rig_start_down(&rig, "a:1", 0);
    rig.engine.options.ping_interval_ms = INTERVAL / 1000;
    set_hello(&call, 1);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    sent_by(0);
    answer(0, 1);
    await_ping(0);
    sent_by(0);
    rig_wait(&rig, S);
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_UP); /* better than none */
    CHECK(rig.engine.counters.pings_failed == 0);
    finish();
}

static void test_we_do_not_ping_while_we_do_not_listen(void)
{
    start_pings("a:1");
    await_ping(0);
    sent_by(0);
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    for (int n = 0; n < 100; n++)
        rig_wait(&rig, S);
    CHECK(state(0) == JRC_SERVER_UP);
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    rig_wait(&rig, S - 1);
    CHECK(state(0) == JRC_SERVER_UP);
    answer(0, 2);
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    rig_wait(&rig, 100 * S);
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    rig_wait(&rig, LEAST - 1);
    CHECK(rig_output(&rig, 0) == 0);
    CHECK(await_ping(0) <= MOST - LEAST + 1);
    finish();
}

/* Its frame does not wait behind others, and is not dropped with theirs. */
static void test_a_ping_stays_in_the_output(void)
{
    start_pings("a:1");
    await_ping(0);
    size_t size = rig_output(&rig, 0);
    uint64_t id = rig_call(&rig, 1, 0, 5000);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    CHECK(rig_output(&rig, 0) == size);
    rig_send(&rig, 0, ALL);
    CHECK(rig.engine.counters.pings == 1);
    finish();
}

int main(void)
{
    test_an_idle_connection_is_pinged_again_and_again();
    test_a_busy_connection_is_not_pinged();
    test_a_ping_without_an_answer_renews_the_connection();
    test_a_ping_costs_no_call();
    test_a_ping_costs_no_call_of_a_connection_that_leaves();
    test_no_ping_without_attempts_to_spare();
    test_we_do_not_ping_while_we_do_not_listen();
    test_a_ping_stays_in_the_output();
    return check_done();
}
