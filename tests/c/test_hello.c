/* What a connection says first: the requests of a hello, one after the other,
 * and what their responses mean. */
#include "hello_check.h"

#include "engine/names.h"

/* Servers that are connected, and are to be greeted by a login and a ping. */
static void start(const char *servers)
{
    const jsonrpcc_call calls[] = {call_of("login", "[1]"),
                                   call_of("rpc.ping", NULL)};

    rig_start_down(&rig, servers, -1);
    set_hello(calls, 2);
    for (uint32_t i = 0; i < rig.servers.count; i++) {
        rig_todo(&rig, i);
        jrc_engine_connecting(&rig.engine, i, rig.now_us);
        jrc_engine_opened(&rig.engine, i, rig.now_us);
        CHECK(greets(i));
    }
    rig_todo(&rig, 0);
}

#define LOGIN \
    "54:{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"login\",\"params\":[1]},"
#define PING "44:{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"rpc.ping\"},"

/* ---- the way in ---------------------------------------------------------- */

static void test_one_request_after_the_other_then_calls(void)
{
    start("a:1");
    rig_call(&rig, 1, 0, 5000);
    CHECK(says(0, LOGIN));
    CHECK(says(0, ""));
    answer(0, 1);
    CHECK(greets(0));
    CHECK(says(0, PING));
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 0);
    CHECK(rig.engine.conns[0].connects == 0);
    answer(0, 2);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 1);
    CHECK(rig.engine.conns[0].connects == 1);
    CHECK(rig_send(&rig, 0, ALL) == FRAME);
    CHECK(rig.engine.counters.hellos == 2 && rig.engine.counters.pings == 0);
    CHECK(rig.engine.conns[0].sends == 1 && rig.engine.conns[0].responses == 0);
    finish();
}

static void test_an_error_answers_a_ping_but_not_a_login(void)
{
    start("a:1 b:2");
    CHECK(says(0, LOGIN) && says(1, LOGIN));
    answer(0, 1);
    CHECK(says(0, PING));
    rig_reply(&rig, 0,
              "{\"id\":2,\"error\":{\"code\":-32601,\"message\":\"\"}}");
    CHECK(state(0) == JRC_SERVER_UP);
    rig_reply(&rig, 1, "{\"id\":1,\"error\":{\"code\":401,\"message\":\"\"}}");
    CHECK(greets(1));
    CHECK(todo(1) == JRC_NEXT_ADDRESS);
    CHECK(jrc_greeting_reason(&rig.engine, 1) == JSONRPCC_HELLO_REFUSED);
    answer(1, 1); /* too late */
    CHECK(says(1, "") && greets(1));
    jrc_engine_lost(&rig.engine, 1, JSONRPCC_HELLO_REFUSED, rig.now_us);
    CHECK(state(1) == JRC_SERVER_DOWN);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 1) == 1);
    CHECK(rig.events[rig.event_count - 1].code == 401);
    CHECK(rig.engine.conns[1].attempts_failed == 1);
    CHECK(rig.engine.counters.hellos_failed == 1);
    CHECK(rig.servers.list[1].failures == 1);
    finish();
}

/* Its backoff grows: a connection and half a hello prove nothing. */
static void test_half_a_hello_does_not_reset_the_backoff(void)
{
    const jsonrpcc_call calls[] = {call_of("login", "[1]"),
                                   call_of("more", NULL)};

    rig_start_down(&rig, "a:1", -1);
    set_hello(calls, 2);
    for (uint32_t n = 1; n <= 4; n++) {
        if (state(0) == JRC_SERVER_DOWN)
            jrc_servers_attempt(&rig.servers, 0, rig.now_us);
        jrc_engine_connecting(&rig.engine, 0, rig.now_us);
        jrc_engine_opened(&rig.engine, 0, rig.now_us);
        CHECK(says(0, LOGIN));
        answer(0, 1);
        sent_by(0);
        rig_reply(&rig, 0, "{\"id\":2,\"error\":{\"code\":1}}");
        jrc_engine_lost(&rig.engine, 0, JSONRPCC_HELLO_REFUSED, rig.now_us);
        CHECK(rig.servers.list[0].failures == n);
    }
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 1);
    finish();
}

/* A later connect that fails in another way does not hide the refusal. */
static void test_a_refusal_is_reported_despite_later_trouble(void)
{
    rig_start_down(&rig, "a:1", -1);
    const jsonrpcc_call call = call_of("login", "[1]");
    set_hello(&call, 1);
    jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 1);
    jrc_servers_attempt(&rig.servers, 0, rig.now_us);
    jrc_engine_connecting(&rig.engine, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    sent_by(0);
    rig_reply(&rig, 0, "{\"id\":1,\"error\":{\"code\":7}}");
    /* The next address fails in another way, which says less. */
    jrc_engine_connecting(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_CONNECTING && says(0, ""));
    jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 2);
    CHECK(rig.servers.list[0].reason == JSONRPCC_HELLO_REFUSED);
    finish();
}

static void test_a_hello_without_an_answer_ends_with_the_attempt(void)
{
    start("a:1");
    sent_by(0);
    rig_call(&rig, 1, 0, 5000);
    rig_call(&rig, 2, JSONRPCC_WAIT_FOR_READY, 60000);
    rig_wait(&rig, S - 1);
    CHECK(todo(0) == 0);
    rig_wait(&rig, 1);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us); /* look once more */
    CHECK(todo(0) == 0);
    rig_wait(&rig, 0);
    CHECK(todo(0) == JRC_NEXT_ADDRESS);
    CHECK(jrc_greeting_reason(&rig.engine, 0) == JSONRPCC_HELLO_TIMEOUT);
    jrc_engine_lost(&rig.engine, 0, JSONRPCC_HELLO_TIMEOUT, rig.now_us);
    IS(1, EFAILURE, NOT_SENT);
    CHECK(rig_outcome(&rig, 1)->reason == JSONRPCC_HELLO_TIMEOUT);
    CHECK(rig_outcome(&rig, 2) == NULL);
    CHECK(rig_events(&rig, JSONRPCC_ALL_DOWN, -1) == 1);
    finish();
}

/* The client itself was late: the answer lay in the socket. */
static void test_an_answer_that_we_read_late_counts(void)
{
    start("a:1");
    sent_by(0);
    rig_wait(&rig, 5 * S);
    CHECK(todo(0) == 0);
    answer(0, 1);
    CHECK(says(0, PING));
    answer(0, 2);
    CHECK(state(0) == JRC_SERVER_UP);
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_UP);
    finish();
}

static void test_our_own_silence_is_not_the_servers_fault(void)
{
    start("a:1");
    sent_by(0);
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    rig_wait(&rig, 60 * S);
    rig_wait(&rig, 60 * S);
    CHECK(todo(0) == 0 && greets(0));
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    rig_wait(&rig, S - 1);
    CHECK(todo(0) == 0);
    answer(0, 1);
    sent_by(0);
    answer(0, 2);
    CHECK(state(0) == JRC_SERVER_UP);
    finish();
}

static void test_what_is_not_an_answer_is_ignored(void)
{
    start("a:1");
    answer(0, 1); /* to a request that has not been sent */
    CHECK(greets(0) && says(0, LOGIN));
    answer(0, 2);
    answer(0, 77);
    rig_reply(&rig, 0, "{\"id\":\"x\",\"result\":0}");
    rig_reply(&rig, 0, "{\"method\":\"hello\",\"params\":[]}");
    rig_reply(&rig, 0, "what?");
    CHECK(says(0, ""));
    answer(0, 1);
    CHECK(says(0, PING));
    answer(0, 1); /* twice */
    CHECK(greets(0));
    CHECK(rig.engine.counters.unmatched == 5);
    rig_reply(&rig, 0, "{\"id\":\"2\",\"result\":0}"); /* some do that */
    CHECK(state(0) == JRC_SERVER_UP);
    answer(0, 2);
    CHECK(rig.engine.counters.unmatched == 6);
    finish();
}

/* It could not read the request, and so does not say which one. */
static void test_an_error_without_an_id_is_an_answer(void)
{
    start("a:1 b:1");
    sent_by(0);
    answer(0, 1);
    sent_by(0);
    rig_reply(&rig, 0, "{\"id\":null,\"error\":{\"code\":-32700}}");
    CHECK(state(0) == JRC_SERVER_UP);
    sent_by(1);
    rig_reply(&rig, 1, "{\"id\":null,\"error\":{\"code\":-32700}}");
    CHECK(jrc_greeting_reason(&rig.engine, 1) == JSONRPCC_HELLO_REFUSED);
    CHECK(rig.servers.list[1].code == -32700);
    CHECK(rig.engine.counters.rejected == 0);
    finish();
}

/* A server may refuse what it has read of a request. */
static void test_an_error_without_an_id_before_the_last_byte(void)
{
    start("a:1");
    rig_send(&rig, 0, 5);
    rig_reply(&rig, 0, "{\"id\":null,\"error\":{\"code\":-32700}}");
    CHECK(jrc_greeting_reason(&rig.engine, 0) == JSONRPCC_HELLO_REFUSED);
    finish();
}

static void test_an_invalid_answer_proves_life_but_no_login(void)
{
    start("a:1 b:1");
    sent_by(0);
    answer(0, 1);
    sent_by(0);
    rig_reply(&rig, 0, "{\"id\":2}");
    CHECK(state(0) == JRC_SERVER_UP);
    sent_by(1);
    rig_reply(&rig, 1, "{\"id\":1}");
    CHECK(jrc_greeting_reason(&rig.engine, 1) == JSONRPCC_HELLO_INVALID);
    finish();
}

static void test_a_broken_frame_ends_the_attempt(void)
{
    start("a:1");
    sent_by(0);
    rig_bytes(&rig, 0, "HTTP/1.1 400");
    CHECK(todo(0) == JRC_NEXT_ADDRESS);
    CHECK(jrc_greeting_reason(&rig.engine, 0) == JSONRPCC_BAD_FRAME);
    rig_bytes(&rig, 0, " Bad Request"); /* before the socket is closed */
    CHECK(todo(0) == 0);
    jrc_engine_lost(&rig.engine, 0, JSONRPCC_BAD_FRAME, rig.now_us);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    finish();
}

/* The attempt ends before the I/O side gets to what it was asked to do. */
static void test_an_end_that_comes_first_is_the_only_one(void)
{
    start("a:1");
    sent_by(0);
    rig_reply(&rig, 0, "{\"id\":1,\"error\":{\"code\":1}}");
    jrc_engine_connecting(&rig.engine, 0, rig.now_us); /* the next address */
    CHECK((todo(0) & JRC_NEXT_ADDRESS) == 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    sent_by(0);
    rig_reply(&rig, 0, "{\"id\":1,\"error\":{\"code\":1}}");
    CHECK(rig.engine.counters.hellos_failed == 1);
    jrc_engine_lost(&rig.engine, 0, JSONRPCC_PEER_CLOSED, rig.now_us);
    CHECK((todo(0) & JRC_NEXT_ADDRESS) == 0);
    CHECK(rig.servers.list[0].reason == JSONRPCC_HELLO_REFUSED);
    finish();
}

/* What follows the broken frame of one connection does not reach another. */
static void test_a_broken_frame_hurts_only_its_attempt(void)
{
    start("a:1 b:1");
    says(1, LOGIN);
    answer(1, 1);
    says(1, PING);
    answer(1, 2);
    CHECK(state(1) == JRC_SERVER_UP);
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 1, ALL);
    rig_long_reply(&rig, 1, id, 1000000);
    rig_bytes(&rig, 0, "HTTP/1.1 400");
    CHECK(rig.engine.conns[0].greeting.failed == JSONRPCC_BAD_FRAME);
    rig_bytes(&rig, 1, ",");
    IS(1, OK, ANSWERED);
    CHECK(state(1) == JRC_SERVER_UP && rig.engine.counters.bad_frames == 1);
    finish();
}

/* ---- beside other servers ------------------------------------------------ */

static void test_calls_go_elsewhere_meanwhile(void)
{
    rig_start(&rig, "a:1,1 b:1,2");
    const jsonrpcc_call call = call_of("rpc.ping", NULL);
    set_hello(&call, 1);
    jrc_engine_lost(&rig.engine, 1, 104, rig.now_us);
    jrc_servers_attempt(&rig.servers, 1, rig.now_us);
    jrc_engine_connecting(&rig.engine, 1, rig.now_us);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    sent_by(1);
    for (uint64_t token = 1; token <= 5; token++) {
        rig_call(&rig, token, 0, 5000);
        CHECK(rig_send(&rig, 0, ALL) == FRAME && rig_output(&rig, 1) == 0);
    }
    answer(1, 1);
    CHECK(state(1) == JRC_SERVER_UP); /* and has nothing to prove */
    rig_call(&rig, 6, 0, 5000);
    rig_call(&rig, 7, 0, 5000);
    CHECK(rig_send(&rig, 1, ALL) == 2 * FRAME);
    finish();
}

/* A server that answers a hello need not answer calls. */
static void test_a_suspect_stays_one_until_a_call_clears_it(void)
{
    rig_start(&rig, "a:1,1 b:1,2");
    make_suspect(1);
    const jsonrpcc_call call = call_of("rpc.ping", NULL);
    set_hello(&call, 1);
    rig_call(&rig, 1, 0, 3600000);
    CHECK(rig_send(&rig, 1, ALL) == FRAME);
    rig_wait(&rig, 10 * S);
    CHECK(state(1) == JRC_SERVER_CONNECTING);
    jrc_engine_connecting(&rig.engine, 1, rig.now_us);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    sent_by(1);
    answer(1, 1);
    CHECK(state(1) == JRC_SERVER_SUSPECT);
    uint64_t id = rig_call(&rig, 2, 0, 1000); /* a trial, at once */
    CHECK(rig_send(&rig, 1, ALL) == FRAME);
    rig_call(&rig, 3, 0, 1000);
    CHECK(rig_send(&rig, 0, ALL) == FRAME);
    answer(1, (unsigned)id);
    CHECK(state(1) == JRC_SERVER_UP);
    finish();
}

static void test_a_server_that_leaves_meanwhile_is_gone(void)
{
    struct jrc_server_list list;

    start("a:1 b:1");
    sent_by(1);
    CHECK(jrc_servers_parse(&list, "a:1", why, sizeof why) == 0);
    jrc_engine_set_servers(&rig.engine, &list, rig.now_us);
    CHECK(state(1) == JRC_SERVER_GONE && todo(1) == JRC_SHUT);
    CHECK(rig.engine.held_bytes == jrc_frames_size(&rig.engine.conns[0].out));
    finish();
}

static void test_another_hello_is_for_the_next_connection(void)
{
    const jsonrpcc_call other = call_of("other", NULL);

    start("a:1");
    sent_by(0);
    set_hello(&other, 1);
    answer(0, 1);
    CHECK(says(0, PING)); /* continues the hello that it began */
    answer(0, 2);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    jrc_servers_attempt(&rig.servers, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(says(0, "41:{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"other\"},"));
    set_hello(NULL, 0);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    jrc_servers_attempt(&rig.servers, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_PROVING && says(0, "")); /* as without */
    finish();
}

int main(void)
{
    test_one_request_after_the_other_then_calls();
    test_an_error_answers_a_ping_but_not_a_login();
    test_half_a_hello_does_not_reset_the_backoff();
    test_a_refusal_is_reported_despite_later_trouble();
    test_a_hello_without_an_answer_ends_with_the_attempt();
    test_an_answer_that_we_read_late_counts();
    test_our_own_silence_is_not_the_servers_fault();
    test_what_is_not_an_answer_is_ignored();
    test_an_error_without_an_id_is_an_answer();
    test_an_error_without_an_id_before_the_last_byte();
    test_an_invalid_answer_proves_life_but_no_login();
    test_a_broken_frame_ends_the_attempt();
    test_a_broken_frame_hurts_only_its_attempt();
    test_an_end_that_comes_first_is_the_only_one();
    test_calls_go_elsewhere_meanwhile();
    test_a_suspect_stays_one_until_a_call_clears_it();
    test_a_server_that_leaves_meanwhile_is_gone();
    test_another_hello_is_for_the_next_connection();
    return check_done();
}
