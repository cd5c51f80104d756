/* Several connections to a server: which one gets a call, and what becomes of
 * the server when one is lost. */
#include "engine/choice.h"
#include "pool_check.h"

#include <errno.h>

/* ---- opening ---- */

static void test_the_first_one_is_opened_alone(void)
{
    rig_start_wide(&rig, "h:1", 3, 0);
    CHECK(conn(0) == JRC_SERVER_CONNECTING && conn(1) == JRC_SERVER_DOWN &&
          conn(2) == JRC_SERVER_DOWN);
    jrc_engine_lost(&rig.engine, 0, ECONNREFUSED, rig.now_us);
    CHECK(state(0) == JRC_SERVER_DOWN);
    rig_wait(&rig, 2 * SECOND);
    CHECK(conn(0) == JRC_SERVER_CONNECTING && conn(1) == JRC_SERVER_DOWN);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 1);
    rig_stop(&rig);
}

static void test_the_others_follow_once_it_is_up(void)
{
    rig_start_wide(&rig, "h:1", 3, 0);
    open_all(0, 1);
    CHECK(state(0) == JRC_SERVER_UP);
    for (uint32_t i = 1; i < 3; i++)
        CHECK(conn(i) == JRC_SERVER_CONNECTING);
    CHECK(conn(3) == JRC_SERVER_DOWN); /* the place of a replacement */
    jrc_engine_lost(&rig.engine, 1, ECONNREFUSED, rig.now_us);
    jrc_engine_opened(&rig.engine, 2, rig.now_us);
    CHECK(state(0) == JRC_SERVER_UP && conn(1) == JRC_SERVER_DOWN);
    CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == 0);
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 2);
    rig_wait(&rig, 2 * SECOND); /* more than its backoff */
    CHECK(conn(1) == JRC_SERVER_CONNECTING);
    rig_stop(&rig);
}

static void test_after_a_failure_one_is_tried_first(void)
{
    rig_start_wide(&rig, "h:1", 2, 0);
    jrc_engine_lost(&rig.engine, 0, ECONNREFUSED, rig.now_us);
    rig_wait(&rig, 2 * SECOND);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_PROVING && conn(0) == JRC_SERVER_PROVING);
    CHECK(conn(1) == JRC_SERVER_DOWN);
    uint64_t id = rig_call(&rig, 1, 0, 5000);
    rig_send(&rig, 0, SIZE_MAX);
    reply_to(0, id);
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_UP && conn(0) == JRC_SERVER_UP);
    CHECK(conn(1) == JRC_SERVER_CONNECTING);
    rig_stop(&rig);
}

/* ---- the choice ---- */

static void test_they_take_turns(void)
{
    uint32_t hits[4] = {0};

    start(4, 0);
    for (uint64_t token = 1; token <= 40; token++) {
        uint64_t id = rig_call(&rig, token, 0, 5000);
        uint32_t i = (uint32_t)conn_of(id);
        hits[i]++;
        rig_send(&rig, i, SIZE_MAX);
        reply_to(i, id);
    }
    for (int i = 0; i < 4; i++)
        CHECK(hits[i] == 10);
    rig_stop(&rig);
}

static void test_the_one_with_less_to_send_gets_it(void)
{
    start(2, 0);
    uint32_t first = (uint32_t)conn_of(rig_call(&rig, 1, 0, 5000));
    uint32_t other = 1 - first;
    for (uint64_t token = 2; token < 10; token++) { /* sent at once */
        CHECK(conn_of(rig_call(&rig, token, 0, 5000)) == (int32_t)other);
        rig_send(&rig, other, SIZE_MAX);
    }
    rig_stop(&rig);
}

static void test_the_one_that_waits_for_less_gets_it(void)
{
    start(2, 0);
    uint32_t busy = (uint32_t)conn_of(rig_call(&rig, 1, 0, 5000));
    rig_send(&rig, busy, SIZE_MAX); /* a large response takes long */
    for (uint64_t token = 2; token < 10; token++) {
        uint64_t id = rig_call(&rig, token, 0, 5000);
        CHECK(conn_of(id) == (int32_t)(1 - busy));
        rig_send(&rig, 1 - busy, SIZE_MAX);
        reply_to(1 - busy, id);
    }
    CHECK(rig_outcome(&rig, 1) == NULL);
    rig_stop(&rig);
}

static void test_a_connection_that_takes_nothing_is_passed_over(void)
{
    start(2, 0);
    rig.engine.conns[0].blocked = true;
    for (uint64_t token = 1; token < 9; token++)
        CHECK(conn_of(rig_call(&rig, token, 0, 5000)) == 1);
    rig.engine.conns[1].blocked = true;
    CHECK(conn_of(rig_call(&rig, 9, 0, 5000)) == 0); /* less to send */
    rig_stop(&rig);
}

static void test_a_server_is_blocked_if_all_of_its_connections_are(void)
{
    rig_start_wide(&rig, "h:1 h:2", 2, 0);
    open_all(0, 6);
    open_all(0, 6);
    rig.engine.conns[0].blocked = rig.engine.conns[1].blocked = true;
    for (uint64_t token = 1; token < 9; token++)
        CHECK(conn_of(rig_call(&rig, token, 0, 5000)) >= 3);
    rig_stop(&rig);
}

/* ---- losses ---- */

static void test_losing_one_connection_is_not_losing_the_server(void)
{
    start(2, 0);
    uint64_t sent = rig_call(&rig, 1, 0, 5000);
    uint32_t lost = (uint32_t)conn_of(sent);
    rig_send(&rig, lost, SIZE_MAX);
    rig_call(&rig, 2, 0, 5000);
    uint64_t unsent = rig_call(&rig, 3, 0, 5000);
    while (conn_of(unsent) != (int32_t)lost)
        unsent = rig_call(&rig, 4, 0, 5000);
    jrc_engine_lost(&rig.engine, lost, ECONNRESET, rig.now_us);
    CHECK(state(0) == JRC_SERVER_UP && conn(lost) == JRC_SERVER_DOWN);
    CHECK(rig_is(&rig, 1, JSONRPCC_ECONNLOST, JSONRPCC_UNKNOWN));
    CHECK(conn_of(unsent) == (int32_t)(1 - lost)); /* the call moved */
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_ALL_DOWN, -1) == 0);
    CHECK(rig.servers.list[0].failures == 0);
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

static void test_a_connection_that_failed_has_to_prove_itself(void)
{
    start(2, 0);
    jrc_engine_lost(&rig.engine, 1, ECONNRESET, rig.now_us);
    rig_wait(&rig, 2 * SECOND);
    uint32_t anew = conn(1) == JRC_SERVER_CONNECTING ? 1 : 2;
    jrc_engine_opened(&rig.engine, anew, rig.now_us);
    if (anew == 2) { /* a place that was never used has nothing to prove */
        CHECK(conn(2) == JRC_SERVER_UP);
    } else {
        CHECK(conn(1) == JRC_SERVER_PROVING && state(0) == JRC_SERVER_UP);
        uint64_t tried = rig_call(&rig, 1, 0, 5000);
        CHECK(conn_of(tried) == 1);
        for (uint64_t token = 2; token < 9; token++)
            CHECK(conn_of(rig_call(&rig, token, 0, 5000)) == 0);
        rig_send(&rig, 1, SIZE_MAX);
        reply_to(1, tried);
        CHECK(conn(1) == JRC_SERVER_UP);
    }
    rig_stop(&rig);
}

static void test_the_last_one_takes_the_server_with_it(void)
{
    start(2, 0);
    jrc_engine_lost(&rig.engine, 0, ECONNRESET, rig.now_us);
    CHECK(state(0) == JRC_SERVER_UP);
    jrc_engine_lost(&rig.engine, 1, ECONNRESET, rig.now_us);
    CHECK(state(0) == JRC_SERVER_DOWN && rig.servers.list[0].failures == 1);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 2);
    CHECK(rig_events(&rig, JSONRPCC_ALL_DOWN, -1) == 1);
    rig_stop(&rig);
}

/* A connection that is being opened when the last one is lost is the server's
 * attempt from then on. */
static void test_an_attempt_becomes_the_servers(void)
{
    start(2, 0);
    jrc_engine_lost(&rig.engine, 1, ECONNRESET, rig.now_us);
    rig_wait(&rig, 2 * SECOND);
    jrc_engine_lost(&rig.engine, 0, ECONNRESET, rig.now_us);
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

/* ---- silence ---- */

static void test_a_server_is_suspect_only_once(void)
{
    start(4, 0);
    for (uint64_t token = 1; token <= 5; token++) {
        uint64_t id = rig_call(&rig, token, 0, 100);
        rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
    }
    rig_wait(&rig, 200 * MS);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    CHECK(rig_events(&rig, JSONRPCC_SUSPECT, 0) == 1);
    for (uint64_t token = 6; token <= 30; token++) {
        uint64_t id = rig_call(&rig, token, 0, 100);
        rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
        rig_wait(&rig, 200 * MS);
    }
    CHECK(rig_events(&rig, JSONRPCC_SUSPECT, 0) == 1);
    uint64_t id = rig_call(&rig, 31, 0, 100);
    uint32_t at = (uint32_t)conn_of(id);
    rig_send(&rig, at, SIZE_MAX);
    reply_to(at, id);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_TRUSTED, 0) == 1);
    rig_stop(&rig);
}

static void test_the_connections_of_a_suspect_are_replaced_together(void)
{
    start(2, 0);
    for (uint64_t token = 1; token <= 5; token++) {
        uint64_t id = rig_call(&rig, token, 0, 100);
        rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
    }
    rig_wait(&rig, 200 * MS);
    for (uint64_t token = 6; state(0) == JRC_SERVER_SUSPECT && token < 300;
         token++) {
        uint64_t id = rig_call(&rig, token, 0, 100);
        rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
        rig_wait(&rig, 200 * MS);
    }
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 2);
    CHECK(conn(1) == JRC_SERVER_DOWN && conn(2) == JRC_SERVER_DOWN);
    CHECK((rig_todo(&rig, 1) & JRC_SHUT) != 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    rig_stop(&rig);
}

/* Behind a request that does not leave, it would wait for its deadline. */
static void test_a_trial_goes_to_a_connection_that_takes_it(void)
{
    for (uint32_t blocked = 0; blocked < 2; blocked++) {
        start(2, 0);
        for (uint64_t token = 100; state(0) == JRC_SERVER_UP; token++) {
            rig_send(&rig, (uint32_t)conn_of(rig_call(&rig, token, 0, 1)),
                     SIZE_MAX);
            rig_wait(&rig, 10 * MS);
        }
        rig_wait(&rig, 20 * SECOND);
        rig.engine.conns[blocked].blocked = true;
        CHECK(conn_of(rig_call(&rig, 1, 0, 1000)) == (int32_t)(1 - blocked));
        rig_stop(&rig);
    }
}

/* A connection that is lost already is not reported as lost again. */
static void test_a_suspect_loses_only_connections_that_it_has(void)
{
    start(2, 0);
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    for (uint64_t token = 1; state(0) != JRC_SERVER_CONNECTING && token < 300;
         token++) {
        uint64_t id = rig_call(&rig, token, 0, 100);
        if (conn_of(id) >= 0)
            rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
        rig_wait(&rig, 200 * MS);
    }
    CHECK(state(0) == JRC_SERVER_CONNECTING);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 2);
    rig_stop(&rig);
}

/* The connection whose last trial was longest ago gets the next one. */
static void test_trials_take_turns(void)
{
    bool trial = true;

    start(2, 0);
    rig.engine.conns[0].tried_us = 5;
    rig.engine.conns[1].tried_us = 3;
    for (uint32_t n = 1; n <= 4; n++) {
        CHECK(jrc_choice_pick(&rig.engine, 0, rig.now_us + SECOND, true, &trial,
                              rig.now_us + n) == n % 2);
        CHECK(trial);
    }
    rig_stop(&rig);
}

/* The server responds on one connection and is silent on another. */
static void test_a_connection_that_alone_is_silent_leaves(void)
{
    uint64_t token = 0;
    uint32_t silent = 0;

    start(2, 0);
    uint64_t slow = rig_call(&rig, 1000, 0, 60000);
    silent = (uint32_t)conn_of(slow);
    rig_send(&rig, silent, SIZE_MAX);
    for (int n = 0; n < 40 && conn(silent) == JRC_SERVER_UP; n++) {
        /* Several at once, or all would go to the idle connection. */
        uint64_t ids[3];
        for (int k = 0; k < 3; k++)
            ids[k] = rig_call(&rig, ++token, 0, 100);
        for (int k = 0; k < 3; k++) {
            uint32_t at = (uint32_t)conn_of(ids[k]);
            rig_send(&rig, at, SIZE_MAX);
            if (at != silent)
                reply_to(at, ids[k]);
        }
        rig_wait(&rig, 200 * MS);
    }
    CHECK(conn(silent) == JRC_SERVER_LEAVING);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_SUSPECT, 0) == 0);
    CHECK(rig_outcome(&rig, 1000) == NULL); /* the call may be slow */
    open_all(0, 3);
    CHECK(conn(2) == JRC_SERVER_UP);
    reply_to(silent, slow);
    rig_wait(&rig, 0);
    CHECK(rig_is(&rig, 1000, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK((rig_todo(&rig, silent) & JRC_SHUT) != 0);
    CHECK(conn(silent) == JRC_SERVER_DOWN);
    rig_stop(&rig);
}

/* If a trial is cancelled, the next one need not wait until it would have timed
 * out. */
static void test_a_trial_that_is_cancelled_is_over(void)
{
    uint64_t cap_us;

    start(2, 0);
    cap_us = rig.servers.cap_us;
    jrc_engine_lost(&rig.engine, 1, ECONNRESET, rig.now_us);
    rig_wait(&rig, 2 * cap_us);
    CHECK(conn(1) == JRC_SERVER_CONNECTING);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    uint64_t tried = rig_call(&rig, 1, 0, 60000);
    CHECK(conn_of(tried) == 1);
    rig_send(&rig, 1, SIZE_MAX);
    jrc_engine_cancel(&rig.engine, tried, rig.now_us);
    rig_wait(&rig, cap_us - 1);
    CHECK(conn_of(rig_call(&rig, 2, 0, 60000)) == 0);
    rig_wait(&rig, 1);
    CHECK(conn_of(rig_call(&rig, 3, 0, 60000)) == 1);
    rig_stop(&rig);
}

int main(void)
{
    test_the_first_one_is_opened_alone();
    test_the_others_follow_once_it_is_up();
    test_after_a_failure_one_is_tried_first();
    test_they_take_turns();
    test_the_one_with_less_to_send_gets_it();
    test_the_one_that_waits_for_less_gets_it();
    test_a_connection_that_takes_nothing_is_passed_over();
    test_a_server_is_blocked_if_all_of_its_connections_are();
    test_losing_one_connection_is_not_losing_the_server();
    test_a_connection_that_failed_has_to_prove_itself();
    test_the_last_one_takes_the_server_with_it();
    test_an_attempt_becomes_the_servers();
    test_a_server_is_suspect_only_once();
    test_the_connections_of_a_suspect_are_replaced_together();
    test_a_trial_goes_to_a_connection_that_takes_it();
    test_a_suspect_loses_only_connections_that_it_has();
    test_trials_take_turns();
    test_a_connection_that_alone_is_silent_leaves();
    test_a_trial_that_is_cancelled_is_over();
    return check_done();
}
