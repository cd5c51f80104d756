/* What the engine does with a server that leaves calls unanswered: its calls
 * go elsewhere, it is tried now and then, and finally its connection is
 * renewed. */
#include "rig_check.h"

enum { CAP = 10 * S };

static void test_five_timeouts_make_a_suspect(void)
{
    rig_start(&rig, "a:1 b:1");
    for (uint64_t token = 0; token < 10; token++)
        rig_call(&rig, token, 0, token % 2 == 0 ? 10 : 1000);
    rig_send(&rig, 1, ALL);
    rig_send(&rig, 0, 3 * FRAME + 5); /* a: 3 sent, 1 begun, 1 queued */
    rig_call(&rig, 20, 0, 1000);
    CHECK(rig_output(&rig, 1) == FRAME); /* a is blocked */
    rig_send(&rig, 1, ALL);
    rig_call(&rig, 21, 0, 1000);
    rig_wait(&rig, 10000);
    CHECK(rig_events(&rig, JSONRPCC_SUSPECT, 0) == 1);
    CHECK(rig.servers.list[0].state == JRC_SERVER_SUSPECT);
    CHECK(rig_sound(&rig.engine));
    IS(4, ETIMEDOUT, UNKNOWN);
    CHECK(rig_outcome(&rig, 6)->fate == JSONRPCC_UNKNOWN);
    CHECK(rig_outcome(&rig, 8)->fate == JSONRPCC_NOT_SENT);
    /* A late response is a sign of life. */
    rig_reply(&rig, 0, "{\"id\":1024,\"result\":0}");
    CHECK(rig_events(&rig, JSONRPCC_TRUSTED, 0) == 1);
    finish();
}

/* Calls that wait in a suspect's output go to a trusted server. */
static void test_a_suspect_is_unloaded(void)
{
    rig_start(&rig, "a:1 b:2");
    for (uint64_t token = 1; token <= 12; token++)
        rig_call(&rig, token, 0, token % 2 == 1 && token < 11 ? 10 : 5000);
    rig_send(&rig, 1, SIZE_MAX);
    CHECK(rig_output(&rig, 0) > 0);
    rig_wait(&rig, 20000); /* five calls to one server time out */
    CHECK(rig_events(&rig, JSONRPCC_SUSPECT, 0) == 1);
    CHECK(rig_output(&rig, 0) == 0 && rig_output(&rig, 1) > 0);
    finish();
}

/* But not the frame that has begun to be sent, which stays whole. */
static void test_what_has_begun_stays(void)
{
    rig_start(&rig, "a:1 b:2");
    for (uint64_t token = 0; token < 14; token++)
        rig_call(&rig, token, 0, token % 2 == 0 && token < 10 ? 10 : 5000);
    CHECK(rig_send(&rig, 0, 5 * FRAME + 5) == 5 * FRAME + 5);
    rig_send(&rig, 1, ALL);
    rig_wait(&rig, 10000);
    CHECK(rig_events(&rig, JSONRPCC_SUSPECT, 0) == 1);
    CHECK(rig_output(&rig, 0) == FRAME - 5 && rig_output(&rig, 1) == FRAME);
    CHECK(rig_send(&rig, 0, ALL) == FRAME - 5);
    finish();
}

/* ---- a connection that is dead without a word ---------------------------- */

static void test_a_silent_connection_is_renewed(void)
{
    rig_start(&rig, "a:1");
    make_suspect(0);
    rig_call(&rig, 1, 0, 1000); /* the trial */
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, S);
    IS(1, ETIMEDOUT, UNKNOWN);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us + CAP - S);
    rig_wait(&rig, CAP - S - 1);
    rig_call(&rig, 2, 0, 1000); /* sent and not answered */
    rig_call(&rig, 3, JSONRPCC_IDEMPOTENT, 5000);
    rig_send(&rig, 0, 2 * FRAME);
    rig_call(&rig, 4, 0, 5000); /* in the output */
    CHECK(rig_todo(&rig, 0) == (JRC_WRITE | JRC_MEASURE));
    CHECK(state(0) == JRC_SERVER_SUSPECT);

    rig_wait(&rig, 1);
    CHECK((rig_todo(&rig, 0) & (JRC_SHUT | JRC_OPEN)) == (JRC_SHUT | JRC_OPEN));
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig.servers.list[0].reason == JSONRPCC_UNRESPONSIVE);
    IS(2, ECONNLOST, UNKNOWN);
    rig_call(&rig, 5, 0, 5000); /* waits, as for a first attempt */
    CHECK(rig_sound(&rig.engine) && rig_output(&rig, 0) == 0);

    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_SUSPECT); /* a connection is not a response */
    CHECK(rig_send(&rig, 0, ALL) == 3 * FRAME);
    CHECK(rig.engine.counters.resent == 1);
    CHECK(rig_events(&rig, JSONRPCC_TRUSTED, 0) == 0);
    rig_reply(&rig, 0, "{\"id\":1024,\"result\":0}"); /* nor is a late one */
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_TRUSTED, 0) == 1);
    rig_wait(&rig, 5 * S);
    rig_wait(&rig, CAP);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(jrc_engine_next_us(&rig.engine) == JRC_NEVER);
    finish();
}

/* Each connection gets its trial, and at most one is made per cap. */
static void test_renewed_once_for_each_trial(void)
{
    rig_start(&rig, "a:1,1 b:1,2");
    make_suspect(1);
    for (unsigned n = 0; n < 4; n++) {
        CHECK(rig_events(&rig, JSONRPCC_LOST, 1) == n);
        rig_wait(&rig, 5ULL * CAP); /* without a call none is tried */
        CHECK(jrc_engine_next_us(&rig.engine) == JRC_NEVER);
        rig_call(&rig, n, 0, 1000);
        CHECK(rig_send(&rig, 1, ALL) == FRAME);
        rig_call(&rig, n + 10, 0, 1000); /* and by one call only */
        CHECK(rig_send(&rig, 1, ALL) == 0 && rig_send(&rig, 0, ALL) == FRAME);
        rig_wait(&rig, S);
        rig_wait(&rig, CAP - S);
        CHECK(state(1) == JRC_SERVER_CONNECTING);
        jrc_engine_connecting(&rig.engine, 1, rig.now_us);
        jrc_engine_opened(&rig.engine, 1, rig.now_us);
        CHECK(state(1) == JRC_SERVER_SUSPECT);
    }
    finish();
}

/* A server may be busy with what it was given before. */
static void test_a_slow_call_keeps_its_connection(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 30000);
    rig_send(&rig, 0, ALL);
    make_suspect(0);
    rig_call(&rig, 2, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, CAP);
    rig_wait(&rig, CAP);
    CHECK(state(0) == JRC_SERVER_SUSPECT && rig_outcome(&rig, 1) == NULL);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us + 9 * S - AT_ONCE);
    rig_wait(&rig, 9 * S - AT_ONCE);
    IS(1, ETIMEDOUT, UNKNOWN);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    rig_wait(&rig, S + AT_ONCE);
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    finish();
}

static void test_a_second_slow_call_keeps_its_connection_too(void)
{
    rig_start(&rig, "a:1");
    rig_call(&rig, 1, 0, 12000);
    rig_call(&rig, 2, 0, 30000);
    rig_send(&rig, 0, ALL);
    make_suspect(0);
    rig_call(&rig, 3, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, CAP);
    rig_wait(&rig, CAP);
    IS(1, ETIMEDOUT, UNKNOWN);
    CHECK(state(0) == JRC_SERVER_SUSPECT && rig_outcome(&rig, 2) == NULL);
    finish();
}

static void test_a_server_that_takes_nothing_is_renewed(void)
{
    rig_start(&rig, "a:1 b:1");
    for (uint64_t token = 0; token < 10; token++)
        rig_call(&rig, token, 0, token % 2 == 0 ? 10 : 1000);
    rig_send(&rig, 1, ALL);
    rig_send(&rig, 0, 5); /* and is blocked */
    rig_wait(&rig, AT_ONCE);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    rig_wait(&rig, S);
    rig_call(&rig, 20, 0, 1000); /* not the trial that it could be */
    CHECK(rig_send(&rig, 1, ALL) == FRAME);
    rig_wait(&rig, CAP);
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_wait(&rig, S); /* the trial could have taken that long */
    rig_call(&rig, 21, 0, 1000);
    CHECK(rig_output(&rig, 0) == FRAME);
    finish();
}

/* Refused now, it is down like any other, and not a suspect when it comes
 * back. */
static void test_an_attempt_to_renew_may_fail(void)
{
    rig_start(&rig, "a:1");
    make_suspect(0);
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_wait(&rig, CAP);
    rig_call(&rig, 2, 0, 1000);
    CHECK(rig_outcome(&rig, 2) == NULL);
    jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    IS(2, EFAILURE, NOT_SENT);
    CHECK(rig_outcome(&rig, 2)->reason == 111);
    rig_call(&rig, 3, 0, 1000);
    IS(3, EFAILURE, NOT_SENT);
    rig_wait(&rig, CAP);
    CHECK((rig_todo(&rig, 0) & JRC_OPEN) != 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_PROVING);
    finish();
}

/* With no attempt left a silent connection is better than none. */
static void test_no_attempt_no_renewal(void)
{
    for (int32_t attempts = 0; attempts < 3; attempts++) {
        rig_start_down(&rig, "a:1", attempts);
        jrc_engine_opened(&rig.engine, 0, rig.now_us);
        make_suspect(0);
        for (int n = 0; n < 4; n++) {
            rig_call(&rig, (uint64_t)n, 0, 1000);
            CHECK(rig_send(&rig, 0, ALL) == FRAME);
            rig_wait(&rig, CAP);
            CHECK(jrc_engine_next_us(&rig.engine) > rig.now_us);
            if (state(0) == JRC_SERVER_CONNECTING)
                jrc_engine_opened(&rig.engine, 0, rig.now_us);
        }
        CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == (unsigned)attempts);
        CHECK(state(0) == JRC_SERVER_SUSPECT);
        finish();
    }
}

/* An answer ends the trial; the next suspicion starts from zero. */
static void test_a_trial_ends_with_an_answer(void)
{
    rig_start(&rig, "a:1");
    make_suspect(0);
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_reply(&rig, 0, "{\"id\":1024,\"result\":0}");
    CHECK(state(0) == JRC_SERVER_UP);
    make_suspect(0);
    rig_wait(&rig, CAP);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    finish();
}

/* Of calls that come together, the one that may be repeated is the trial; those
 * before it fail over. */
static void test_one_trial_of_a_batch(void)
{
    struct jrc_frames batch = {0};

    rig_start(&rig, "a:1,1 b:1,2");
    make_suspect(1);
    for (uint64_t token = 1; token <= 3; token++)
        rig_prepare(&rig, token, token == 3 ? JSONRPCC_IDEMPOTENT : 0, 1000,
                    &batch);
    jrc_engine_submit(&rig.engine, &batch, rig.now_us);
    CHECK(rig_output(&rig, 1) == FRAME && rig_output(&rig, 0) == 2UL * FRAME);
    CHECK(rig_events(&rig, JSONRPCC_FAILED_OVER, 0) == 1);
    jrc_frames_clear(&batch);
    finish();
}

/* It counts from the first microsecond in which we read again. */
static void test_silence_counts_from_when_we_read(void)
{
    rig_start(&rig, "a:1");
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    rig_wait(&rig, S);
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    make_suspect(0);
    finish();
}

int main(void)
{
    test_five_timeouts_make_a_suspect();
    test_silence_counts_from_when_we_read();
    test_a_suspect_is_unloaded();
    test_what_has_begun_stays();
    test_a_silent_connection_is_renewed();
    test_renewed_once_for_each_trial();
    test_a_slow_call_keeps_its_connection();
    test_a_second_slow_call_keeps_its_connection_too();
    test_a_server_that_takes_nothing_is_renewed();
    test_an_attempt_to_renew_may_fail();
    test_no_attempt_no_renewal();
    test_a_trial_ends_with_an_answer();
    test_one_trial_of_a_batch();
    return check_done();
}
