/* How a new connection replaces one that has reached its maximum age. */
#include "pool_check.h"

#include <errno.h>

static void wait_for_age(void)
{
    rig_wait(&rig, 9 * SECOND - 1); /* up to a tenth earlier */
    CHECK(conn(1) == JRC_SERVER_DOWN);
    rig_wait(&rig, 2 * SECOND + 1);
    CHECK(conn(1) == JRC_SERVER_CONNECTING && conn(0) == JRC_SERVER_UP);
}

static void test_a_new_one_takes_over_when_it_has_responded(void)
{
    start(1, 10000);
    wait_for_age();
    uint64_t old = rig_call(&rig, 1, 0, 60000);
    CHECK(conn_of(old) == 0);
    rig_send(&rig, 0, SIZE_MAX);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    CHECK(conn(1) == JRC_SERVER_PROVING && conn(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_RENEWED, 0) == 0);
    uint64_t tried = rig_call(&rig, 2, 0, 5000);
    CHECK(conn_of(tried) == 1);
    uint64_t unsent = rig_call(&rig, 3, 0, 5000);
    CHECK(conn_of(unsent) == 0);
    rig_send(&rig, 1, SIZE_MAX);
    reply_to(1, tried);
    rig_wait(&rig, 0);
    CHECK(conn(1) == JRC_SERVER_UP && conn(0) == JRC_SERVER_LEAVING);
    CHECK(conn_of(unsent) == 1); /* the call moved */
    CHECK(rig_events(&rig, JSONRPCC_RENEWED, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 1);
    rig_wait(&rig, 50 * SECOND); /* more than leave_timeout */
    CHECK(rig_outcome(&rig, 1) == NULL);
    reply_to(0, old);
    rig_wait(&rig, 0);
    CHECK(rig_is(&rig, 1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    CHECK(rig.engine.conns[0].renewals == 1);
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

/* If its trial fails, the call may be lost: so one is chosen that may be sent
 * again. */
static void test_a_trial_is_a_call_that_may_be_sent_again(void)
{
    struct jrc_frames frames = {0};

    start(1, 10000);
    wait_for_age();
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    rig_prepare(&rig, 1, JSONRPCC_NOTIFICATION, 5000, &frames);
    uint64_t once = rig_prepare(&rig, 2, 0, 5000, &frames);
    uint64_t again = rig_prepare(&rig, 3, JSONRPCC_IDEMPOTENT, 5000, &frames);
    uint64_t last = rig_prepare(&rig, 4, JSONRPCC_IDEMPOTENT, 5000, &frames);
    jrc_engine_submit(&rig.engine, &frames, rig.now_us);
    CHECK(conn_of(once) == 0 && conn_of(again) == 1 && conn_of(last) == 0);
    jrc_frames_clear(&frames);
    rig_stop(&rig);
}

static void test_without_calls_it_takes_over_after_a_while(void)
{
    start(1, 10000);
    wait_for_age();
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    rig_wait(&rig, 10 * SECOND);
    CHECK(conn(1) == JRC_SERVER_UP && conn(0) == JRC_SERVER_DOWN);
    CHECK((rig_todo(&rig, 0) & JRC_SHUT) != 0);
    rig_stop(&rig);
}

static void test_the_old_one_stays_if_no_new_one_comes_up(void)
{
    start(1, 10000);
    wait_for_age();
    for (int n = 0; n < 5; n++) {
        jrc_engine_lost(&rig.engine, 1, ECONNREFUSED, rig.now_us);
        CHECK(conn(0) == JRC_SERVER_UP && conn(1) == JRC_SERVER_DOWN);
        rig_wait(&rig, 20 * SECOND);
        CHECK(conn(1) == JRC_SERVER_CONNECTING);
    }
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 0);
    CHECK(conn_of(rig_call(&rig, 1, 0, 5000)) == 0);
    rig_stop(&rig);
}

static void test_a_new_one_that_does_not_respond_takes_nothing_over(void)
{
    start(1, 10000);
    wait_for_age();
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    CHECK(conn_of(rig_call(&rig, 1, 0, 100)) == 1);
    rig_send(&rig, 1, SIZE_MAX);
    rig_wait(&rig, 200 * MS);
    CHECK(rig_is(&rig, 1, JSONRPCC_ETIMEDOUT, JSONRPCC_UNKNOWN));
    CHECK(conn(1) == JRC_SERVER_PROVING); /* the response may be late */
    rig_wait(&rig, rig.servers.trial_time_us - 200 * MS);
    CHECK(conn(1) == JRC_SERVER_DOWN && conn(0) == JRC_SERVER_UP);
    CHECK((rig_todo(&rig, 1) & JRC_SHUT) != 0);
    CHECK(state(0) == JRC_SERVER_UP);
    rig_stop(&rig);
}

/* If the new one is lost while the old one still has a call, the old one gets
 * calls again. */
static void test_the_old_one_stays_if_the_new_one_is_lost(void)
{
    start(1, 10000);
    wait_for_age();
    uint64_t old = rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, SIZE_MAX);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    uint64_t tried = rig_call(&rig, 2, 0, 5000);
    rig_send(&rig, 1, SIZE_MAX);
    reply_to(1, tried);
    rig_wait(&rig, 0);
    CHECK(conn(0) == JRC_SERVER_LEAVING);
    jrc_engine_lost(&rig.engine, 1, ECONNRESET, rig.now_us);
    CHECK(conn(0) == JRC_SERVER_UP && state(0) == JRC_SERVER_UP);
    CHECK(conn_of(rig_call(&rig, 3, 0, 5000)) == 0);
    reply_to(0, old);
    CHECK(rig_is(&rig, 1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

int main(void)
{
    test_a_new_one_takes_over_when_it_has_responded();
    test_a_trial_is_a_call_that_may_be_sent_again();
    test_without_calls_it_takes_over_after_a_while();
    test_the_old_one_stays_if_no_new_one_comes_up();
    test_a_new_one_that_does_not_respond_takes_nothing_over();
    test_the_old_one_stays_if_the_new_one_is_lost();
    return check_done();
}
