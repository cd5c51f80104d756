/* A request that takes longer to leave than a trial takes: as long as bytes of
 * it leave, and its call waits for an outcome, its connection is left alone.
 * It has the time of a trial from its last byte on. */
#include "pool_check.h"

enum { PAUSE_US = 10 * SECOND, STEP_US = 8 * SECOND, STEPS = 5 };

/* Ticks, as they come when there is other work. */
static void pass(uint64_t us)
{
    uint64_t end_us = rig.now_us + us;

    while (rig.now_us < end_us) {
        uint64_t left_us = end_us - rig.now_us;
        rig_wait(&rig, left_us < 100 * MS ? left_us : 100 * MS);
    }
}

/* Calls that leave and time out, until the server is a suspect. */
static void make_suspect(int32_t connections)
{
    uint64_t token = 100;

    while (state(0) == JRC_SERVER_UP && token < 200) {
        rig_call(&rig, token++, 0, 1);
        for (uint32_t i = 0; i < (uint32_t)connections; i++)
            if (!rig.engine.conns[i].blocked)
                rig_send(&rig, i, SIZE_MAX);
        pass(MS);
    }
    CHECK(state(0) == JRC_SERVER_SUSPECT);
}

static void begin(int32_t connections)
{
    start(connections, 0);
    make_suspect(connections);
    pass(PAUSE_US);
}

/* Some of connection i's output leaves, now and then. */
static void leave_slowly(uint32_t i)
{
    for (int n = 0; n < STEPS; n++) {
        CHECK(rig_send(&rig, i, 2) == 2);
        pass(STEP_US);
        CHECK(state(0) == JRC_SERVER_SUSPECT);
        CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    }
}

/* The rest leaves, and the response is as late as it may be. */
static void answer_late(uint32_t i, uint64_t token, uint64_t id)
{
    rig_send(&rig, i, SIZE_MAX);
    pass(PAUSE_US - SECOND);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    reply_to(i, id);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_is(&rig, token, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

static void test_a_trial_that_leaves_slowly(void)
{
    for (int32_t connections = 1; connections < 3; connections++) {
        begin(connections);
        uint64_t id = rig_call(&rig, 1, 0, 600000);
        uint32_t i = (uint32_t)conn_of(id);
        leave_slowly(i);
        answer_late(i, 1, id);
    }
}

/* It began to leave before the suspicion. */
static void test_a_trial_behind_what_leaves_slowly(void)
{
    start(1, 0);
    uint64_t id = rig_call(&rig, 1, 0, 600000);
    rig_send(&rig, 0, 2);
    make_suspect(1);
    pass(PAUSE_US);
    rig_call(&rig, 2, 0, 600000);
    leave_slowly(0);
    rig_send(&rig, 0, rig_output(&rig, 0) / 2);
    answer_late(0, 1, id);
}

/* What leaves on one connection speaks for it when another has no answer. */
static void test_a_trial_beside_what_leaves_slowly(void)
{
    start(2, 0);
    uint64_t id = rig_call(&rig, 1, 0, 600000);
    uint32_t i = (uint32_t)conn_of(id);
    rig_send(&rig, i, 2);
    make_suspect(2);
    pass(PAUSE_US);
    CHECK(conn_of(rig_call(&rig, 2, 0, 600000)) == (int32_t)(1 - i));
    rig_send(&rig, 1 - i, SIZE_MAX);
    leave_slowly(i);
    answer_late(i, 1, id);
}

static void test_one_that_stops_leaving(void)
{
    begin(1);
    rig_call(&rig, 1, 0, 600000);
    leave_slowly(0);
    pass(PAUSE_US - STEP_US - SECOND);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    pass(2 * SECOND);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(state(0) == JRC_SERVER_CONNECTING && rig_outcome(&rig, 1) == NULL);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(rig_output(&rig, 0) > 0);
    rig_stop(&rig);
}

/* Nobody waits for it any more. */
static void test_one_whose_call_has_ended(void)
{
    begin(1);
    rig_call(&rig, 1, 0, STEPS * STEP_US / 1000);
    leave_slowly(0);
    CHECK(rig_is(&rig, 1, JSONRPCC_ETIMEDOUT, JSONRPCC_UNKNOWN));
    for (int n = 0; n < 2; n++) {
        rig_send(&rig, 0, 1);
        pass(STEP_US);
    }
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    rig_stop(&rig);
}

/* It has the first one whole, and does not answer: another one that leaves
 * afterwards, slowly, is no excuse. */
static void test_what_leaves_after_a_trial_does_not_count(void)
{
    begin(1);
    rig_call(&rig, 1, 0, 600000);
    rig_send(&rig, 0, SIZE_MAX);
    rig_call(&rig, 2, 0, 600000);
    for (int n = 0; n < 2; n++) {
        rig_send(&rig, 0, 1);
        pass(STEP_US);
    }
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig_is(&rig, 1, JSONRPCC_ECONNLOST, JSONRPCC_UNKNOWN));
    CHECK(rig_outcome(&rig, 2) == NULL);
    rig_stop(&rig);
}

int main(void)
{
    test_a_trial_that_leaves_slowly();
    test_a_trial_behind_what_leaves_slowly();
    test_a_trial_beside_what_leaves_slowly();
    test_one_that_stops_leaving();
    test_one_whose_call_has_ended();
    test_what_leaves_after_a_trial_does_not_count();
    return check_done();
}
