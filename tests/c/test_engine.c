/* The rules of DESIGN §3.8-3.12, each driven by hand. */
#include "check.h"
#include "rig.h"

#include <string.h>

enum { ALL = 1 << 20, S = 1000000, FRAME = 44 };

static struct rig rig;

#define IS(token, status, fate) \
    CHECK(rig_is(&rig, token, JSONRPCC_##status, JSONRPCC_##fate))

static void finish(void)
{
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

/* ---- 8: the last byte is the commit point -------------------------------- */

static void test_not_sent_until_the_last_byte(void)
{
    rig_start(&rig, "a:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    CHECK((rig_todo(&rig, 0) & JRC_WRITE) != 0);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(1, ECANCELLED, NOT_SENT);
    CHECK(rig_output(&rig, 0) == 0); /* and never is */

    id = rig_call(&rig, 2, 0, 1000);
    size_t size = rig_output(&rig, 0);
    CHECK(rig_send(&rig, 0, size - 1) == size - 1);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(2, ECANCELLED, UNKNOWN); /* it has begun, and will be whole */
    CHECK(rig_send(&rig, 0, ALL) == 1);
    CHECK(rig.engine.conns[0].sends == 1);

    id = rig_call(&rig, 3, 0, 1000);
    rig_send(&rig, 0, ALL);
    CHECK(rig.engine.conns[0].in_flight == 1);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(3, ECANCELLED, UNKNOWN);
    CHECK(rig.engine.conns[0].in_flight == 0);
    jrc_engine_cancel(&rig.engine, id, rig.now_us); /* once only */
    CHECK(rig.outcome_count == 3);
    finish();
}

/* Of what has begun to leave the rest must follow, be it all but a byte. */
static void test_one_byte_is_a_beginning(void)
{
    rig_start(&rig, "a:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 1);
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    IS(1, ECANCELLED, UNKNOWN);
    CHECK(rig_send(&rig, 0, ALL) == FRAME - 1);
    finish();
}

static void test_notification_ends_with_its_last_byte(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 1000);
    size_t size = rig_output(&rig, 0);
    rig_send(&rig, 0, size - 1);
    CHECK(rig.outcome_count == 0);
    rig_send(&rig, 0, 1);
    IS(1, OK, UNKNOWN);
    CHECK(rig_outcome(&rig, 1)->sends == 1);
    finish();
}

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
    CHECK(rig.engine.conns[1].out.written == 0); /* 3 starts anew */
    rig_send(&rig, 1, ALL);
    CHECK(rig.engine.counters.resent == 1 && rig.engine.counters.moved == 2);
    CHECK(rig.engine.conns[1].in_flight == 3);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_FAILED_OVER, 1) == 1);
    finish();
}

static void test_idempotent_is_sent_three_times_at_most(void)
{
    rig_start(&rig, "a:1 b:1 c:1 d:1");
    uint64_t id = rig_call(&rig, 1, JSONRPCC_IDEMPOTENT, 1000);
    for (int n = 1; n <= 3; n++) {
        CHECK(rig.outcome_count == 0);
        int32_t at = jrc_calls_find(&rig.calls, id)->server;
        CHECK(rig_send(&rig, (uint32_t)at, ALL) > 0);
        jrc_engine_lost(&rig.engine, (uint32_t)at, 104, rig.now_us);
    }
    IS(1, ECONNLOST, UNKNOWN);
    CHECK(rig_outcome(&rig, 1)->sends == 3);
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

/* ---- 9: deadlines -------------------------------------------------------- */

static void test_deadlines_cover_everything(void)
{
    rig_start_down(&rig, "a:1", -1);
    rig_call(&rig, 1, 0, 30); /* waits for the first attempt */
    rig_call(&rig, 2, 0, 60);
    rig_call(&rig, 3, 0, 90);
    rig_wait(&rig, 29999);
    CHECK(rig.outcome_count == 0);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us + 1);
    rig_wait(&rig, 1);
    IS(1, ETIMEDOUT, NOT_SENT);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_wait(&rig, 30000); /* in the output */
    IS(2, ETIMEDOUT, NOT_SENT);
    CHECK(rig_outcome(&rig, 2)->elapsed_us == 60000);
    CHECK(rig_send(&rig, 0, ALL) == FRAME);
    rig_wait(&rig, 29999);
    CHECK(rig.outcome_count == 2);
    rig_wait(&rig, 1);
    IS(3, ETIMEDOUT, UNKNOWN);
    CHECK(rig.engine.conns[0].timeouts == 2);
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
    CHECK(rig_output(&rig, 1) == 0); /* the better one may come */
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
        /* And not when the attempt that failed at once would have ended. */
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
static void test_unreachable_is_told_again_after_being_up(void)
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

/* ---- 7: whose is a response ---------------------------------------------- */

static void test_responses_find_their_call(void)
{
    rig_start(&rig, "a:1 b:1");
    unsigned long long one = rig_call(&rig, 1, 0, 1000); /* to a */
    unsigned long long two = rig_call(&rig, 2, 0, 1000); /* to b */
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}", one);
    CHECK(rig.outcome_count == 0); /* before a byte was sent: nobody's */
    rig_send(&rig, 0, ALL);
    rig_send(&rig, 1, ALL);
    rig_reply(&rig, 1, "{\"id\":%llu,\"result\":0}", one); /* foreign */
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}", one + 1024);
    rig_reply(&rig, 0, "{\"id\":%llu.0,\"result\":0}", one);
    CHECK(rig.outcome_count == 0 && rig.engine.counters.unmatched == 4);
    rig_reply(&rig, 0, "{\"id\":\"%llu\",\"result\":[1]}", one);
    IS(1, OK, ANSWERED);
    CHECK(strcmp(rig_outcome(&rig, 1)->json, "[1]") == 0);
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":2}", one); /* repeated */
    CHECK(rig.outcome_count == 1 && rig.engine.counters.unmatched == 5);
    rig_reply(&rig, 1, "{\"id\":%llu,\"error\":{\"code\":5}}", two);
    IS(2, EREMOTE, ANSWERED);
    CHECK(rig_outcome(&rig, 2)->server == 1);
    rig_reply(&rig, 0, "{\"method\":\"ping\",\"id\":1}");
    rig_reply(&rig, 0, "no json");
    CHECK(rig.engine.counters.ignored == 2 && rig.outcome_count == 2);
    rig_call(&rig, 3, JSONRPCC_NOTIFICATION, 1000);
    finish();
}

static void test_answer_before_the_last_byte(void)
{
    rig_start(&rig, "a:1");
    unsigned long long id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 20);
    rig_reply(&rig, 0, "{\"id\":%llu,\"error\":\"too long\"}", id);
    IS(1, EREMOTE, ANSWERED);
    CHECK(rig_send(&rig, 0, ALL) > 0); /* the frame goes out whole */
    rig_call(&rig, 2, 0, 1000);
    CHECK(rig_send(&rig, 0, ALL) == FRAME);
    CHECK(rig.engine.conns[0].in_flight == 1);
    finish();
}

static void test_bad_payload_hurts_its_call_only(void)
{
    rig_start(&rig, "a:1");
    unsigned long long one = rig_call(&rig, 1, 0, 1000);
    unsigned long long two = rig_call(&rig, 2, 0, 1000);
    unsigned long long three = rig_call(&rig, 3, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":[[[[[[[[0]]]]]]]]}", one);
    IS(1, EINVALID, ANSWERED); /* nesting 9 of 8 */
    rig_reply(&rig, 0, "{\"id\":%llu}", two);
    IS(2, EINVALID, ANSWERED);
    CHECK(rig.servers.list[0].state == JRC_SERVER_UP);
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":3}", three);
    IS(3, OK, ANSWERED);
    finish();
}

static void test_bad_frame_ends_the_connection(void)
{
    static const struct {
        const char *bytes;
        int32_t reason;
    } cases[] = {{"HTTP/1.1 400", JSONRPCC_BAD_FRAME},
                 {"3:abc;", JSONRPCC_BAD_FRAME},
                 {"65537:", JSONRPCC_FRAME_TOO_BIG}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_start(&rig, "a:1 b:1");
        rig_call(&rig, 1, 0, 1000);
        rig_call(&rig, 2, 0, 1000);
        rig_send(&rig, 0, ALL);
        rig_send(&rig, 1, ALL);
        rig_todo(&rig, 0);
        rig_bytes(&rig, 0, cases[i].bytes);
        IS(1, ECONNLOST, UNKNOWN);
        CHECK(rig_outcome(&rig, 1)->reason == cases[i].reason);
        CHECK(rig_todo(&rig, 0) == JRC_SHUT && rig.outcome_count == 1);
        CHECK(rig.engine.counters.bad_frames == 1);
        finish();
    }
}

/* What has ended does not count against the bound of queued bytes for long,
 * be it three large frames. */
static void test_dead_frames_are_given_up(void)
{
    rig_start_down(&rig, "a:1", -1);
    for (uint64_t token = 1; token <= 3; token++)
        rig_call(&rig, token, 0, 1000);
    rig_wait(&rig, S);
    CHECK(rig.outcome_count == 3 && rig.engine.held_bytes == 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    for (uint64_t token = 4; token <= 6; token++)
        rig_call(&rig, token, 0, 1000);
    rig_send(&rig, 0, 0); /* and it never reads */
    rig_call(&rig, 7, 0, 5000);
    CHECK(rig.engine.held_bytes == 4 * FRAME);
    rig_wait(&rig, S);
    CHECK(rig.outcome_count == 6 && rig.engine.held_bytes == FRAME);
    finish();
}

/* ---- servers that do not read, or do not answer ---------------------------
 */

static void test_a_blocked_server_is_passed_over(void)
{
    rig_start(&rig, "a:1 b:1");
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 3); /* and no more */
    for (uint64_t token = 2; token < 12; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_output(&rig, 1) == 10 * FRAME);
    rig_send(&rig, 0, ALL); /* it reads again */
    rig_send(&rig, 1, ALL);
    for (uint64_t token = 12; token < 22; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_output(&rig, 0) == 5 * FRAME);
    finish();
}

/* The connect timeout is an address's, and begins with it. */
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

/* With all blocked one of them has to do. */
static void test_all_blocked(void)
{
    rig_start(&rig, "a:1 b:1");
    rig_call(&rig, 1, 0, 1000);
    rig_call(&rig, 2, 0, 1000);
    rig_send(&rig, 0, 3);
    rig_send(&rig, 1, 3);
    rig_call(&rig, 3, 0, 1000);
    CHECK(rig_output(&rig, 0) == FRAME - 3);
    CHECK(rig_output(&rig, 1) == 2 * FRAME - 3);
    finish();
}

/* What blocked it may have ended without being sent. */
static void test_blocked_ends_when_nothing_is_left_to_send(void)
{
    rig_start(&rig, "a:1 b:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, 0); /* the socket is full */
    jrc_engine_cancel(&rig.engine, id, rig.now_us);
    CHECK(rig_output(&rig, 0) == 0); /* writable again: nothing to write */
    for (uint64_t token = 2; token < 12; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_output(&rig, 0) == 5 * FRAME);
    finish();
}

/* ---- memory of the outputs -------------------------------------------------
 */

/* Calls that go to one server after the other use the same memory. */
static void test_outputs_lend_their_memory(void)
{
    const char *bytes = NULL;

    rig_start(&rig, "a:1 b:2 c:3");
    for (uint32_t i = 0; i < 6; i++) {
        rig_call(&rig, i, 0, 1000);
        struct jrc_frames *out = &rig.engine.conns[i % 3].out;
        CHECK(!jrc_frames_empty(out));
        CHECK(bytes == NULL || out->bytes == bytes);
        bytes = out->bytes;
        rig_send(&rig, i % 3, 1000);
        CHECK(out->bytes == NULL);
    }
    /* Who still has something to send keeps its own. */
    rig_call(&rig, 6, 0, 1000);
    rig_call(&rig, 7, 0, 1000);
    CHECK(rig.engine.conns[0].out.bytes == bytes);
    CHECK(rig.engine.conns[1].out.bytes != bytes);
    CHECK(rig_send(&rig, 0, 5) == 5);
    CHECK(rig.engine.conns[0].out.bytes == bytes);
    rig_stop(&rig);
}

static void test_the_door_and_the_only_output_change_memory(void)
{
    const char *door = NULL;

    rig_start(&rig, "a:1");
    for (uint64_t token = 0; token < 6; token++) {
        rig_call(&rig, token, 0, 1000);
        CHECK(token == 0 || rig.door.bytes != NULL);
        CHECK(token < 2 || rig.engine.conns[0].out.bytes == door);
        door = rig.door.bytes;
        rig_send(&rig, 0, 1000);
    }
    rig_stop(&rig);
}

/* ---- 13: close ------------------------------------------------------------
 */

static void test_close(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_call(&rig, 2, 0, 1000);
    rig_call(&rig, 3, JSONRPCC_NOTIFICATION, 5000);
    rig_call(&rig, 4, JSONRPCC_NOTIFICATION, 100);
    rig_call(&rig, 5, JSONRPCC_NOTIFICATION, 5000);
    jrc_engine_close(&rig.engine, rig.now_us, S);
    IS(1, ECLOSED, UNKNOWN);
    IS(2, ECLOSED, NOT_SENT);
    CHECK(rig.outcome_count == 2 && !jrc_engine_finished(&rig.engine));
    rig_wait(&rig, 100000);
    IS(4, ECLOSED, NOT_SENT);
    rig_send(&rig, 0, FRAME - 5);
    IS(3, OK, UNKNOWN);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us + S - 100000);
    rig_wait(&rig, S - 100000);
    CHECK(rig_outcome(&rig, 5)->status == JSONRPCC_ECLOSED);
    CHECK(jrc_engine_finished(&rig.engine));
    rig_call(&rig, 6, 0, 1000); /* what was at the door already */
    IS(6, ECLOSED, NOT_SENT);
    finish();
}

static void test_lost_while_closing(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT, 5000);
    jrc_engine_close(&rig.engine, rig.now_us, S);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    CHECK(rig_outcome(&rig, 1)->fate == JSONRPCC_NOT_SENT);
    CHECK(jrc_engine_finished(&rig.engine));
    rig_wait(&rig, 10 * S); /* the deadlines of calls that ended */
    CHECK(jrc_engine_next_us(&rig.engine) == JRC_NEVER);
    finish();
}

/* Why nothing works is what the best server says, wherever it stands. */
static void test_the_reason_is_the_best_servers(void)
{
    rig_start(&rig, "a:1,1 b:2,2");
    jrc_engine_lost(&rig.engine, 0, 11, rig.now_us);
    jrc_engine_lost(&rig.engine, 1, 22, rig.now_us);
    rig_call(&rig, 1, 0, 1000);
    CHECK(rig_is(&rig, 1, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    CHECK(rig_outcome(&rig, 1)->reason == 22);
    rig_stop(&rig);
}

static void test_what_is_counted(void)
{
    uint64_t answers = 0;

    rig_start(&rig, "a:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_call(&rig, 2, 0, 1000);
    size_t sent = rig_send(&rig, 0, SIZE_MAX);
    CHECK(jrc_read(&rig.engine.conns[0].bytes_sent) == sent && sent > 0);
    rig_reply(&rig, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    uint64_t received = jrc_read(&rig.engine.conns[0].bytes_received);
    rig_bytes(&rig, 0, "2:{},");
    CHECK(jrc_read(&rig.engine.conns[0].bytes_received) == received + 5);
    for (int i = 0; i < JSONRPCC_LATENCY_BUCKETS; i++)
        answers += jrc_read(&rig.engine.counters.latency[i]);
    CHECK(answers == 1);
    CHECK(jrc_read(&rig.engine.counters.outcomes[JSONRPCC_OK]) == 1);
    rig_wait(&rig, 2000000);
    CHECK(rig_is(&rig, 2, JSONRPCC_ETIMEDOUT, JSONRPCC_UNKNOWN));
    for (int i = 0; i < JSONRPCC_LATENCY_BUCKETS; i++)
        answers -= jrc_read(&rig.engine.counters.latency[i]);
    CHECK(answers == 0); /* a timeout has no latency */
    jrc_engine_close(&rig.engine, rig.now_us, 1000);
    rig_call(&rig, 3, 0, 1000);
    CHECK(rig_is(&rig, 3, JSONRPCC_ECLOSED, JSONRPCC_NOT_SENT));
    CHECK(rig_outcome(&rig, 3)->reason == 0);
    rig_stop(&rig);
}

int main(void)
{
    test_not_sent_until_the_last_byte();
    test_one_byte_is_a_beginning();
    test_notification_ends_with_its_last_byte();
    test_lost_connection();
    test_idempotent_is_sent_three_times_at_most();
    test_deadlines_cover_everything();
    test_no_server();
    test_waiting_calls_go_when_a_server_comes();
    test_reconnects();
    test_unreachable_is_told_again_after_being_up();
    test_responses_find_their_call();
    test_answer_before_the_last_byte();
    test_bad_payload_hurts_its_call_only();
    test_bad_frame_ends_the_connection();
    test_dead_frames_are_given_up();
    test_a_blocked_server_is_passed_over();
    test_a_name_may_take_long();
    test_all_blocked();
    test_blocked_ends_when_nothing_is_left_to_send();
    test_outputs_lend_their_memory();
    test_the_door_and_the_only_output_change_memory();
    test_close();
    test_lost_while_closing();
    test_the_reason_is_the_best_servers();
    test_what_is_counted();
    return check_done();
}
