/* How a new connection to a server that failed proves itself: it gets one call,
 * and only after a response the others. */
#include "rig_check.h"

enum { CAP = 10 * S };

/* Lose the connection of server i and open a new one. */
static void reconnect(uint32_t i)
{
    jrc_engine_lost(&rig.engine, i, 104, rig.now_us);
    jrc_servers_attempt(&rig.servers, i, rig.now_us);
    jrc_engine_opened(&rig.engine, i, rig.now_us);
    CHECK(state(i) == JRC_SERVER_PROVING);
}

/* A balancer with no server behind it accepts connections and closes them: each
 * costs one call. */
static void test_one_call_for_each_connection(void)
{
    unsigned lost = 0;

    rig_start(&rig, "a:1,2 b:1,1");
    for (uint64_t token = 1; token <= 16; token++)
        rig_call(&rig, token, 0, 60000); /* on its first connection */
    CHECK(rig_send(&rig, 0, ALL) == 16 * FRAME);
    for (uint64_t round = 1; round <= 7; round++) {
        reconnect(0);
        for (uint64_t n = 0; n < 16; n++)
            rig_call(&rig, 100 * round + n, 0, 60000);
        CHECK(rig_send(&rig, 0, ALL) == FRAME);
        CHECK(rig_send(&rig, 1, ALL) == 15 * FRAME);
        rig_wait(&rig, AT_ONCE);
    }
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    for (size_t n = 0; n < rig.outcome_count; n++)
        lost += rig.outcomes[n].outcome.status == JSONRPCC_ECONNLOST;
    CHECK(lost == 16 + 7);
    CHECK(rig_events(&rig, JSONRPCC_BACK, 0) == 0);
    finish();
}

/* Only after the first response do its calls come back. */
static void test_the_first_response_is_the_proof(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    CHECK(goes_to(1, 1, 1000)); /* failed over */
    jrc_servers_attempt(&rig.servers, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    uint64_t id = rig_call(&rig, 2, 0, 1000);
    CHECK(rig_send(&rig, 0, ALL) == FRAME);
    CHECK(goes_to(1, 3, 1000) && goes_to(1, 4, 1000));
    CHECK(rig_events(&rig, JSONRPCC_BACK, 0) == 0);
    answer(0, id);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(goes_to(0, 5, 1000) && goes_to(0, 6, 1000));
    CHECK(rig_events(&rig, JSONRPCC_BACK, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_TRUSTED, 0) == 0); /* no suspect */
    finish();
}

/* Proof is any response whose id may be one of ours, or an error that says that
 * a request was unreadable.  No other text is. */
static void test_signs_of_life(void)
{
    static const struct {
        const char *text;
        bool alive;
    } cases[] = {
        {"{\"id\":4711,\"result\":0}", true}, /* too late, or never sent */
        {"{\"id\":\"4711\",\"error\":{}}", true},
        {"{\"id\":4711,\"result\":0,\"result\":0}", true},
        {"{\"id\":4711,\"result\":01}", true}, /* not JSON */
        {"{\"id\":null,\"error\":{}}", true},
        {"{\"id\":null,\"result\":0}", false},
        {"{\"id\":\"x\",\"result\":0}", false},
        {"{\"id\":12345678901234567,\"result\":0}", false}, /* too large */
        {"{\"result\":0}", false},
        {"{\"id\":4711,\"method\":\"ping\"}", false},
        {"ping", false},
    };

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        rig_start(&rig, "a:1");
        reconnect(0);
        rig_reply(&rig, 0, "%s", cases[n].text);
        CHECK((state(0) == JRC_SERVER_UP) == cases[n].alive);
        finish();
    }
}

/* With no other server up, it gets all calls, but BACK is not reported. */
static void test_a_lone_newcomer_is_used_in_full(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    CHECK(goes_to(1, 1, 1000));
    jrc_servers_attempt(&rig.servers, 0, rig.now_us);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    jrc_engine_lost(&rig.engine, 1, 104, rig.now_us);
    uint64_t id = rig_call(&rig, 2, 0, 1000);
    for (uint64_t token = 3; token < 12; token++)
        rig_call(&rig, token, 0, 1000);
    CHECK(rig_send(&rig, 0, ALL) == 10 * FRAME);
    CHECK(rig_events(&rig, JSONRPCC_BACK, 0) == 0);
    answer(0, id);
    CHECK(goes_to(0, 20, 1000) && rig_events(&rig, JSONRPCC_BACK, 0) == 1);
    finish();
}

/* Of the calls of a turn, the trial is one that may run twice; or else the
 * first request. */
static void test_the_trial_is_the_call_with_least_to_lose(void)
{
    static const uint32_t flags[2][3] = {
        {JSONRPCC_NOTIFICATION, 0, JSONRPCC_IDEMPOTENT},
        {JSONRPCC_NOTIFICATION, 0, 0}};

    for (size_t k = 0; k < 2; k++) {
        struct jrc_frames frames = {0};
        uint64_t ids[3];
        rig_start(&rig, "a:1,2 b:1,1");
        reconnect(0);
        for (uint64_t n = 0; n < 3; n++)
            ids[n] = rig_prepare(&rig, n + 1, flags[k][n], 1000, &frames);
        jrc_engine_submit(&rig.engine, &frames, rig.now_us);
        uint64_t tried = ids[2 - k];
        CHECK(rig.engine.conns[0].out.last - rig.engine.conns[0].out.first ==
              1);
        CHECK(jrc_calls_slot(&rig.calls, tried)->conn == 0);
        jrc_frames_clear(&frames);
        finish();
    }
}

/* If the trial times out, the server becomes a suspect; its connection is
 * replaced after one more trial without an answer. */
static void test_a_silent_newcomer_is_a_suspect(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    reconnect(0);
    CHECK(goes_to(0, 1, 1000) && goes_to(1, 2, 60000));
    rig_wait(&rig, S);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    rig_wait(&rig, CAP);
    CHECK(goes_to(0, 3, 1000));
    rig_wait(&rig, CAP);
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    finish();
}

/* Calls that went there while no other server was up are not trials.  If one
 * times out, that alone means nothing, even once another server is up. */
static void test_only_a_trial_condemns_a_newcomer(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    jrc_engine_lost(&rig.engine, 1, 104, rig.now_us);
    reconnect(0);
    rig_call(&rig, 1, 0, 60000); /* the trial */
    rig_call(&rig, 2, 0, 1000);
    CHECK(rig_send(&rig, 0, ALL) == 2 * FRAME);
    jrc_servers_attempt(&rig.servers, 1, rig.now_us);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    uint64_t id = rig_call(&rig, 3, 0, 1000);
    CHECK(rig_send(&rig, 1, ALL) == FRAME);
    answer(1, id);
    CHECK(state(1) == JRC_SERVER_UP);
    rig_wait(&rig, S);
    IS(2, ETIMEDOUT, UNKNOWN);
    CHECK(state(0) == JRC_SERVER_PROVING);
    finish();
}

/* A notification gets no response.  To a client that sends nothing else, a
 * server proves itself by taking one and staying up. */
static void test_notifications_prove_a_server_as_well(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    reconnect(0);
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 1000);
    rig_call(&rig, 2, JSONRPCC_NOTIFICATION, 1000);
    CHECK(rig_send(&rig, 0, ALL) > 0 && rig_send(&rig, 1, ALL) > 0);
    CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us + CAP);
    rig_wait(&rig, CAP - 1);
    CHECK(state(0) == JRC_SERVER_PROVING);
    rig_wait(&rig, 1);
    CHECK(state(0) == JRC_SERVER_UP);
    rig_call(&rig, 3, JSONRPCC_NOTIFICATION, 1000);
    rig_call(&rig, 4, JSONRPCC_NOTIFICATION, 1000);
    CHECK(rig_send(&rig, 0, ALL) > 0 && rig_send(&rig, 1, ALL) == 0);
    finish();
}

/* The same, with a call behind it that takes longer. */
static void test_a_notification_before_a_long_call(void)
{
    rig_start(&rig, "a:1");
    reconnect(0);
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 1000);
    rig_call(&rig, 2, 0, 60000);
    CHECK(rig_send(&rig, 0, ALL) > FRAME);
    rig_wait(&rig, CAP - 1);
    CHECK(state(0) == JRC_SERVER_PROVING);
    rig_wait(&rig, 1);
    CHECK(state(0) == JRC_SERVER_UP && rig_outcome(&rig, 2) == NULL);
    finish();
}

int main(void)
{
    test_one_call_for_each_connection();
    test_the_first_response_is_the_proof();
    test_signs_of_life();
    test_a_lone_newcomer_is_used_in_full();
    test_the_trial_is_the_call_with_least_to_lose();
    test_a_silent_newcomer_is_a_suspect();
    test_only_a_trial_condemns_a_newcomer();
    test_notifications_prove_a_server_as_well();
    test_a_notification_before_a_long_call();
    return check_done();
}
