/* The engine, driven by hand: servers come and go, and so do their calls. */
#include "rig_check.h"

/* ---- 11: when a connection breaks ---------------------------------------- */

static void test_lost_connection(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    rig_call(&rig, 1, 0, 1000);                   /* sent */
    rig_call(&rig, 2, JSONRPCC_IDEMPOTENT, 1000); /* sent */
    rig_send(&rig, 0, ALL);
    rig_call(&rig, 3, 0, 1000); /* begun */
    rig_send(&rig, 0, 5);
    rig_call(&rig, 4, 0, 1000); /* queued */
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    IS(1, ECONNLOST, UNKNOWN);
    CHECK(rig_outcome(&rig, 1)->reason == 104);
    CHECK(rig.outcome_count == 1);
    CHECK(rig_sound(&rig.engine));
    CHECK(rig.engine.conns[1].out.last - rig.engine.conns[1].out.first == 3);
    CHECK(rig.engine.conns[1].out.written == 0); /* 3 starts again */
    rig_send(&rig, 1, ALL);
    CHECK(rig.engine.counters.resent == 1 && rig.engine.counters.moved == 2);
    CHECK(rig.engine.conns[1].in_flight == 3);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_FAILED_OVER, 1) == 1);
    CHECK(rig.engine.counters.events[JSONRPCC_CONNECTED] == 2);
    for (size_t n = 0; n < rig.event_count; n++)
        if (rig.events[n].kind == JSONRPCC_CONNECTED)
            CHECK(rig.events[n].reason == 0);
    CHECK(rig.engine.counters.events[JSONRPCC_LOST] == 1);
    CHECK(rig.engine.counters.events[JSONRPCC_FAILED_OVER] == 1);
    CHECK(rig.engine.counters.events[JSONRPCC_BACK] == 0);
    finish();
}

static unsigned told(jsonrpcc_event_kind kind)
{
    return rig_events(&rig, kind, kind == JSONRPCC_ALL_DOWN ? -1 : 0);
}

static void test_all_down_and_available(void)
{
    rig_start_down(&rig, "a:1,2 b:1,1", -1);
    rig_wait(&rig, S);
    rig_todo(&rig, 0);
    CHECK(told(JSONRPCC_ALL_DOWN) == 0); /* the first attempts are under way */
    jrc_engine_lost(&rig.engine, 1, 111, rig.now_us);
    CHECK(told(JSONRPCC_ALL_DOWN) == 0);
    jrc_engine_lost(&rig.engine, 0, 113, rig.now_us);
    CHECK(told(JSONRPCC_ALL_DOWN) == 1);
    CHECK(rig.events[rig.event_count - 1].reason == 113); /* the best one's */
    rig_wait(&rig, 60 * S);
    CHECK(told(JSONRPCC_ALL_DOWN) == 1 && told(JSONRPCC_AVAILABLE) == 0);
    rig_todo(&rig, 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_wait(&rig, 1); /* it still has to prove itself */
    CHECK(told(JSONRPCC_AVAILABLE) == 0);
    jrc_engine_lost(&rig.engine, 0, JSONRPCC_PEER_CLOSED, rig.now_us);
    rig_wait(&rig, 60 * S);
    CHECK(told(JSONRPCC_ALL_DOWN) == 1 && told(JSONRPCC_AVAILABLE) == 0);
    rig_todo(&rig, 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    unsigned long long id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}", id);
    rig_wait(&rig, 1);
    CHECK(told(JSONRPCC_AVAILABLE) == 1);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    CHECK(told(JSONRPCC_ALL_DOWN) == 2);
    finish();
}

static void test_idempotent_is_sent_three_times_at_most(void)
{
    rig_start(&rig, "a:1 b:1 c:1 d:1");
    uint64_t id = rig_call(&rig, 1, JSONRPCC_IDEMPOTENT, 1000);
    for (int n = 1; n <= 3; n++) {
        CHECK(rig.outcome_count == 0);
        int32_t at = jrc_calls_find(&rig.calls, id)->conn;
        CHECK(rig_send(&rig, (uint32_t)at, ALL) > 0);
        jrc_engine_lost(&rig.engine, (uint32_t)at, 104, rig.now_us);
    }
    IS(1, ECONNLOST, UNKNOWN);
    CHECK(rig_outcome(&rig, 1)->attempts == 3);
    finish();

    rig_start(&rig,
              "a:1"); /* with nowhere to go it fails at once, as unknown */
    rig_call(&rig, 1, JSONRPCC_IDEMPOTENT, 1000);
    rig_call(&rig, 2, JSONRPCC_IDEMPOTENT | JSONRPCC_WAIT_FOR_READY, 1000);
    rig_send(&rig, 0, ALL);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    IS(1, EFAILURE, UNKNOWN);
    CHECK(rig.outcome_count == 1);
    rig_wait(&rig, S);
    IS(2, ETIMEDOUT, UNKNOWN);
    finish();
}

/* ---- 10: when no server is up -------------------------------------------- */

static void test_no_server(void)
{
    rig_start_down(&rig, "a:1 b:1", 1);
    rig_call(&rig, 1, 0, 5000);
    rig_call(&rig, 2, JSONRPCC_WAIT_FOR_READY, 5000);
    jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    CHECK(rig.outcome_count == 0); /* b's first attempt is under way */
    jrc_engine_lost(&rig.engine, 1, 113, rig.now_us);
    IS(1, EFAILURE, NOT_SENT);
    CHECK(rig_outcome(&rig, 1)->reason == 111);
    CHECK(rig_outcome(&rig, 1)->server == -1);
    CHECK(rig.outcome_count == 1);
    rig_call(&rig, 3, 0, 5000); /* known to be down: at once */
    IS(3, EFAILURE, NOT_SENT);
    rig_call(&rig, 4, JSONRPCC_WAIT_FOR_READY, 5000);
    rig_wait(&rig, S); /* the second attempts, and the last */
    CHECK((rig_todo(&rig, 0) & JRC_OPEN) != 0);
    jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    CHECK(rig.outcome_count == 2);
    jrc_engine_lost(&rig.engine, 1, 111, rig.now_us);
    IS(2, EFAILURE, NOT_SENT); /* no hope is left */
    IS(4, EFAILURE, NOT_SENT);
    rig_call(&rig, 5, JSONRPCC_WAIT_FOR_READY, 5000);
    IS(5, EFAILURE, NOT_SENT);
    rig_wait(&rig, 10 * S); /* the deadlines of calls that ended */
    CHECK(jrc_engine_next_us(&rig.engine) == JRC_NEVER);
    finish();
}

static void test_waiting_calls_go_when_a_server_comes(void)
{
    rig_start_down(&rig, "a:1,2 b:1,1", -1);
    for (uint64_t token = 1; token <= 5; token++)
        rig_call(&rig, token, 0, 5000);
    rig_wait(&rig, 1000);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    CHECK(rig_output(&rig, 1) == 0); /* the better one may still come up */
    CHECK(jrc_engine_next_us(&rig.engine) == 1000000000 + JRC_FIRST_CHOICE_US);
    rig_wait(&rig, JRC_FIRST_CHOICE_US - 1000);
    CHECK(rig_output(&rig, 1) == 5 * FRAME);
    CHECK(rig_sound(&rig.engine));
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_call(&rig, 6, 0, 5000); /* back to the better one */
    CHECK(rig_output(&rig, 0) == FRAME);
    CHECK(rig_events(&rig, JSONRPCC_BACK, 0) == 1);
    finish();
}

/* The reason why nothing works is that of the best server, wherever it stands
 * in the list. */
static void test_the_reason_is_that_of_the_best_server(void)
{
    rig_start(&rig, "a:1,1 b:2,2");
    jrc_engine_lost(&rig.engine, 0, 11, rig.now_us);
    jrc_engine_lost(&rig.engine, 1, 22, rig.now_us);
    rig_call(&rig, 1, 0, 1000);
    CHECK(rig_is(&rig, 1, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    CHECK(rig_outcome(&rig, 1)->reason == 22);
    rig_stop(&rig);
}

/* ---- attempts to connect ------------------------------------------------- */

static void test_reconnects(void)
{
    rig_start_down(&rig, "a:1", -1);
    CHECK(rig_todo(&rig, 0) == JRC_OPEN);
    jrc_engine_connecting(&rig.engine, 0, rig.now_us);
    rig_wait(&rig, S - 1);
    CHECK(rig_todo(&rig, 0) == 0);
    rig_wait(&rig, 1); /* the connect timeout */
    CHECK(rig_todo(&rig, 0) == JRC_NEXT_ADDRESS);
    jrc_engine_lost(&rig.engine, 0, JSONRPCC_CONNECT_TIMEOUT, rig.now_us);
    for (int n = 1; n < 8; n++) {
        uint64_t bound = n < 5 ? (uint64_t)S << (n - 1) : 10 * S;
        rig_wait(&rig, 0);
        /* Not only when the attempt that failed at once would have ended. */
        uint64_t due = jrc_engine_next_us(&rig.engine);
        CHECK(due == rig.servers.list[0].next_us);
        CHECK(due <= rig.now_us + bound);
        rig_wait(&rig, due - rig.now_us);
        CHECK(rig_todo(&rig, 0) == JRC_OPEN);
        jrc_engine_connecting(&rig.engine, 0, rig.now_us);
        jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    }
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 1);
    CHECK(rig.engine.conns[0].attempts_failed == 8);
    finish();
}

/* jsonrpcc.h: "the first failed attempt after being up or new". */
static void test_unreachable_is_reported_again_after_being_up(void)
{
    rig_start(&rig, "a:1");
    for (unsigned n = 1; n <= 3; n++) {
        jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
        for (int failed = 0; failed < 3; failed++) {
            rig_wait(&rig, 10 * S);
            CHECK(rig_todo(&rig, 0) == JRC_OPEN);
            jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
            CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == n);
        }
        rig_wait(&rig, 10 * S);
        rig_todo(&rig, 0);
        jrc_engine_opened(&rig.engine, 0, rig.now_us);
    }
    finish();
}

/* The connect timeout is that of one address, and begins with it. */
static void test_a_name_may_take_long(void)
{
    rig_start_down(&rig, "a:1", -1);
    for (int n = 0; n < 2; n++) {
        CHECK((rig_todo(&rig, 0) & JRC_OPEN) != 0);
        rig_wait(&rig, 5ULL * S);
        CHECK(rig_todo(&rig, 0) == 0);
        jrc_engine_connecting(&rig.engine, 0, rig.now_us);
        rig_wait(&rig, S);
        CHECK(rig_todo(&rig, 0) == JRC_NEXT_ADDRESS);
        jrc_engine_connecting(&rig.engine, 0, rig.now_us);
        jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
        rig_wait(&rig, 10ULL * S);
    }
    finish();
}

/* Even when the wait for a better server ends just as a call comes: those that
 * waited go first. */
static void test_order_when_the_wait_for_the_first_choice_ends(void)
{
    rig_start_down(&rig, "a:1,2 b:1,1", -1);
    const struct jrc_frames *out = &rig.engine.conns[1].out;
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    uint64_t first = rig_call(&rig, 1, 0, 1000);
    rig_call(&rig, 2, 0, 1000);
    rig.now_us += JRC_FIRST_CHOICE_US;
    rig_call(&rig, 3, 0, 1000); /* before the tick, as the client has it */
    rig_wait(&rig, 0);
    CHECK(out->last - out->first == 3);
    for (size_t n = 0; n < 3; n++)
        CHECK(out->list[out->first + n].id == first + n);
    finish();
}

/* Before a call fails, it has been reported that no server is left, and why:
 * this also holds for a call that was to be sent again, and for one not sent
 * yet. */
static void test_all_down_is_reported_before_calls_fail(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, JSONRPCC_IDEMPOTENT, 1000);
    rig_send(&rig, 0, ALL);
    rig_call(&rig, 2, 0, 1000);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    IS(1, EFAILURE, UNKNOWN);
    IS(2, EFAILURE, NOT_SENT);
    CHECK(told(JSONRPCC_ALL_DOWN) == 1);
    for (size_t n = 0; n < rig.outcome_count; n++) {
        size_t last = rig.outcomes[n].events - 1;
        CHECK(rig.events[last].kind == JSONRPCC_ALL_DOWN);
        CHECK(rig.events[last].reason == 104);
        CHECK(rig.outcomes[n].outcome.reason == 104);
    }
    finish();
}

int main(void)
{
    test_lost_connection();
    test_all_down_and_available();
    test_idempotent_is_sent_three_times_at_most();
    test_no_server();
    test_all_down_is_reported_before_calls_fail();
    test_waiting_calls_go_when_a_server_comes();
    test_the_reason_is_that_of_the_best_server();
    test_reconnects();
    test_unreachable_is_reported_again_after_being_up();
    test_a_name_may_take_long();
    test_order_when_the_wait_for_the_first_choice_ends();
    return check_done();
}
