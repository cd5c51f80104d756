/* The engine, driven by hand: a call, its deadline, its response, close. */
#include "rig_check.h"

#include <errno.h>
#include <string.h>

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

/* ---- where the time of a call went --------------------------------------- */

static bool took(uint64_t token, uint64_t server_us, uint64_t waited_us,
                 uint64_t answered_us, uint64_t elapsed_us)
{
    const jsonrpcc_outcome *outcome = rig_outcome(&rig, token);

    return outcome != NULL && outcome->room_us == 0 &&
           outcome->server_us == server_us && outcome->waited_us == waited_us &&
           outcome->answered_us == answered_us &&
           outcome->elapsed_us == elapsed_us;
}

static void test_times_of_a_call(void)
{
    rig_start_down(&rig, "a:1", -1);
    unsigned long long one = rig_call(&rig, 1, 0, 100);
    rig_call(&rig, 2, 0, 10); /* is never sent */
    rig_call(&rig, 3, 0, 100);
    rig_call(&rig, 4, JSONRPCC_NOTIFICATION, 100);
    rig_wait(&rig, 10000);
    CHECK(took(2, 10000, 10000, 0, 10000) &&
          rig_outcome(&rig, 2)->attempts == 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_wait(&rig, 5000); /* the socket is full */
    rig_send(&rig, 0, ALL);
    CHECK(took(4, 10000, 15000, 0, 15000)); /* all that a notification does */
    rig_wait(&rig, 7000);
    rig_reply(&rig, 0, "{\"id\":%llu,\"error\":{\"code\":-5}}", one);
    CHECK(took(1, 10000, 15000, 7000, 22000));
    CHECK(rig_outcome(&rig, 1)->code == -5 &&
          rig_outcome(&rig, 1)->attempts == 1);
    rig_wait(&rig, 78000);
    CHECK(took(3, 10000, 15000, 0, 100000)); /* sent, and 85 ms in vain */
    finish();
}

/* It is the last attempt that counts. */
static void test_times_of_a_call_that_was_sent_again(void)
{
    rig_start(&rig, "a:1 b:1");
    unsigned long long one = rig_call(&rig, 1, JSONRPCC_IDEMPOTENT, 100);
    rig_call(&rig, 2, JSONRPCC_IDEMPOTENT, 100); /* to b */
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, 20000);
    jrc_engine_lost(&rig.engine, 0, ECONNRESET, rig.now_us); /* to b */
    rig_wait(&rig, 10000);
    rig_send(&rig, 1, ALL);
    rig_wait(&rig, 1000);
    rig_reply(&rig, 1, "{\"id\":%llu,\"result\":0}", one);
    CHECK(took(1, 20000, 30000, 1000, 31000));
    CHECK(rig_outcome(&rig, 1)->attempts == 2);
    jrc_engine_lost(&rig.engine, 1, ECONNRESET, rig.now_us);
    IS(2, EFAILURE, UNKNOWN); /* sent to b, and then it waited again */
    CHECK(took(2, 31000, 31000, 0, 31000));
    finish();
}

/* ---- 7: whose is a response ---------------------------------------------- */

static void test_responses_find_their_call(void)
{
    rig_start(&rig, "a:1 b:1");
    unsigned long long one = rig_call(&rig, 1, 0, 1000); /* to a */
    unsigned long long two = rig_call(&rig, 2, 0, 1000); /* to b */
    rig_reply(&rig, 0, "{\"id\":%llu,\"result\":0}", one);
    CHECK(rig.outcome_count == 0); /* before a byte was sent: ignored */
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

static void test_a_bad_payload_hurts_only_its_call(void)
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

static void test_a_bad_frame_ends_the_connection(void)
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

/* What follows it in the buffer that all share is dropped. */
static void test_a_bad_frame_hurts_only_its_connection(void)
{
    rig_start(&rig, "a:1 b:1");
    rig_call(&rig, 1, 0, 1000);
    uint64_t id = rig_call(&rig, 2, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_send(&rig, 1, ALL);
    rig_long_reply(&rig, 1, id, 1000000);
    rig_bytes(&rig, 0, "HTTP/1.1 400");
    IS(1, ECONNLOST, UNKNOWN);
    CHECK(rig.outcome_count == 1);
    rig_bytes(&rig, 1, ",");
    IS(2, OK, ANSWERED);
    CHECK(state(1) == JRC_SERVER_UP && rig.engine.counters.bad_frames == 1);
    finish();
}

/* ---- 13: close ----------------------------------------------------------- */

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
    rig_call(&rig, 6, 0, 1000); /* calls that were already submitted */
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

/* ---- counters ------------------------------------------------------------ */

static void test_what_is_counted(void)
{
    uint64_t answers = 0;

    rig_start(&rig, "a:1");
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_call(&rig, 2, 0, 1000);
    size_t sent = rig_send(&rig, 0, SIZE_MAX);
    CHECK(jrc_read(&rig.engine.conns[0].bytes_sent) == sent && sent > 0);
    rig_wait(&rig, 250000);
    rig_reply(&rig, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    uint64_t received = jrc_read(&rig.engine.conns[0].bytes_received);
    rig_bytes(&rig, 0, "2:{},");
    CHECK(jrc_read(&rig.engine.conns[0].bytes_received) == received + 5);
    for (int i = 0; i < JSONRPCC_LATENCY_BUCKETS; i++)
        answers += jrc_read(&rig.engine.tallies->latency[i]);
    CHECK(answers == 1);
    CHECK(jrc_read(&rig.engine.tallies->latency_sum_us) == 250000);
    CHECK(jrc_read(&rig.engine.tallies->outcomes[JSONRPCC_OK]) == 1);
    rig_wait(&rig, 2000000);
    CHECK(rig_is(&rig, 2, JSONRPCC_ETIMEDOUT, JSONRPCC_UNKNOWN));
    for (int i = 0; i < JSONRPCC_LATENCY_BUCKETS; i++)
        answers -= jrc_read(&rig.engine.tallies->latency[i]);
    CHECK(answers == 0); /* a timeout has no latency */
    CHECK(jrc_read(&rig.engine.tallies->latency_sum_us) == 250000);
    jrc_engine_close(&rig.engine, rig.now_us, 1000);
    rig_call(&rig, 3, 0, 1000);
    CHECK(rig_is(&rig, 3, JSONRPCC_ECLOSED, JSONRPCC_NOT_SENT));
    CHECK(rig_outcome(&rig, 3)->reason == 0);
    rig_stop(&rig);
}

int main(void)
{
    test_deadlines_cover_everything();
    test_times_of_a_call();
    test_times_of_a_call_that_was_sent_again();
    test_responses_find_their_call();
    test_answer_before_the_last_byte();
    test_a_bad_payload_hurts_only_its_call();
    test_a_bad_frame_ends_the_connection();
    test_a_bad_frame_hurts_only_its_connection();
    test_close();
    test_lost_while_closing();
    test_what_is_counted();
    return check_done();
}
