/* With pauses of a few milliseconds, a server that takes nearly a second still
 * has the time to answer a trial: on each of its connections, from when a
 * request has been sent there, and until we have looked. */
#include "pool_check.h"

enum { CAP_US = 5 * MS, SLOW_US = 900 * MS };

/* Ticks, as they come when there is other work. */
static void pass(uint64_t us)
{
    uint64_t end_us = rig.now_us + us;

    while (rig.now_us < end_us)
        rig_wait(&rig, end_us - rig.now_us < MS ? end_us - rig.now_us : MS);
}

/* A call that is sent; returns its id. */
static uint64_t send_call(uint64_t token, int32_t timeout_ms)
{
    uint64_t id = rig_call(&rig, token, 0, timeout_ms);

    rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
    return id;
}

/* Its calls time out until the server is a suspect, and due for a trial. */
static void make_suspect(void)
{
    rig.servers.base_us = rig.servers.cap_us = CAP_US;
    rig.servers.trial_time_us = SECOND;
    for (uint64_t token = 100; token < 100 + JRC_SUSPECT_AFTER; token++)
        send_call(token, 1);
    pass(MS);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    pass(CAP_US);
}

/* The same, with one server that has that many connections. */
static void begin(int32_t connections)
{
    start(connections, 0);
    make_suspect();
}

/* Check that the server is still a suspect with all its connections, and that
 * the response makes it a good one. */
static void answer_late(uint64_t token, uint64_t id)
{
    uint32_t i = (uint32_t)conn_of(id);

    pass(SLOW_US);
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    reply_to(i, id);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_is(&rig, token, JSONRPCC_OK, JSONRPCC_ANSWERED));
    pass(2 * SECOND);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

static void test_it_is_at_least_the_time_to_connect(void)
{
    struct jrc_servers servers = {0};

    jrc_servers_start(&servers, 1, CAP_US, SECOND, -1, 0);
    CHECK(servers.cap_us == CAP_US && servers.trial_time_us == SECOND);
    jrc_servers_start(&servers, 1, 10 * SECOND, SECOND, -1, 0);
    CHECK(servers.trial_time_us == 10 * SECOND);
}

static void test_a_slow_server_answers_a_trial(void)
{
    begin(1);
    answer_late(1, send_call(1, 5000));
}

/* The response is late for its own call, and still a sign of life. */
static void test_a_late_response_to_a_trial(void)
{
    begin(1);
    uint64_t id = send_call(1, 50);
    pass(SLOW_US);
    CHECK(rig_is(&rig, 1, JSONRPCC_ETIMEDOUT, JSONRPCC_UNKNOWN));
    reply_to(0, id);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    rig_stop(&rig);
}

/* A connection that is dead does not take the time of another one. */
static void test_each_connection_has_its_time(void)
{
    begin(2);
    uint64_t dead = send_call(1, 500);
    int32_t at = conn_of(dead);
    pass(SLOW_US);
    uint64_t id = send_call(2, 5000);
    CHECK(conn_of(id) == 1 - at);
    answer_late(2, id);
}

/* A call that was sent before the suspicion keeps its connection; when it has
 * ended, the time is still that of what was sent afterwards. */
static void test_after_a_slow_call_a_connection_has_its_time(void)
{
    start(2, 0);
    uint32_t slow = (uint32_t)conn_of(send_call(99, 1250));
    make_suspect();
    rig.engine.conns[slow].tried_us = rig.now_us;
    CHECK(conn_of(send_call(1, 500)) == (int32_t)(1 - slow));
    pass(SECOND);
    CHECK(conn(1 - slow) == JRC_SERVER_DOWN && rig_outcome(&rig, 99) == NULL);
    pass(200 * MS);
    uint64_t id = send_call(2, 5000);
    CHECK(conn_of(id) == (int32_t)slow);
    pass(SLOW_US);
    CHECK(rig_is(&rig, 99, JSONRPCC_ETIMEDOUT, JSONRPCC_UNKNOWN));
    reply_to(slow, id);
    CHECK(rig_is(&rig, 2, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(state(0) == JRC_SERVER_UP);
    rig_stop(&rig);
}

/* The only server gets all calls, not only trials. */
static void test_a_call_that_is_no_trial_has_the_time(void)
{
    begin(2);
    int32_t at = conn_of(send_call(1, 60000));
    pass(SLOW_US);
    rig.engine.conns[at].blocked = true;
    uint64_t id = send_call(2, 5000);
    CHECK(conn_of(id) == 1 - at);
    answer_late(2, id);
}

static void test_a_trial_that_was_not_sent_takes_no_time(void)
{
    begin(1);
    jrc_engine_cancel(&rig.engine, rig_call(&rig, 1, 0, 5000), rig.now_us);
    CHECK(rig_is(&rig, 1, JSONRPCC_ECANCELLED, JSONRPCC_NOT_SENT));
    pass(SLOW_US);
    answer_late(2, send_call(2, 5000));
}

/* Its time counts from its last byte, even if it times out before that. */
static void test_a_trial_that_was_long_in_leaving(void)
{
    for (int32_t timeout_ms = 50; timeout_ms <= 5000; timeout_ms *= 100) {
        begin(1);
        uint64_t id = rig_call(&rig, 1, 0, timeout_ms);
        rig_send(&rig, 0, 1);
        pass(SLOW_US);
        rig_send(&rig, 0, SIZE_MAX);
        pass(SLOW_US);
        CHECK(state(0) == JRC_SERVER_SUSPECT);
        reply_to(0, id);
        CHECK(state(0) == JRC_SERVER_UP);
        CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
        rig_stop(&rig);
    }
}

static void test_a_notification_has_no_response_to_miss(void)
{
    begin(1);
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 5000);
    rig_send(&rig, 0, SIZE_MAX);
    pass(SLOW_US);
    answer_late(2, send_call(2, 5000));
}

static void test_one_that_did_not_read_for_a_while(void)
{
    begin(1);
    rig.engine.conns[0].blocked = true;
    rig_call(&rig, 1, 0, 10);
    pass(SLOW_US);
    CHECK(rig_is(&rig, 1, JSONRPCC_ETIMEDOUT, JSONRPCC_NOT_SENT));
    rig.engine.conns[0].blocked = false;
    answer_late(2, send_call(2, 5000));
}

/* The process has been busy, and the response may wait in the socket. */
static void test_we_look_before_we_replace_a_connection(void)
{
    begin(1);
    uint64_t id = send_call(1, 60000);
    rig_wait(&rig, 5 * SECOND);
    CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us);
    reply_to(0, id);
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(rig_is(&rig, 1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    rig_stop(&rig);
}

/* While a trial has its time, the other calls go to another server. */
static void test_one_trial_at_a_time(void)
{
    rig_start(&rig, "h:1 h:2");
    rig.servers.base_us = rig.servers.cap_us = CAP_US;
    rig.servers.trial_time_us = SECOND;
    for (uint64_t token = 100; state(0) == JRC_SERVER_UP; token++) {
        uint64_t id = rig_call(&rig, token, 0, 1);
        rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
        pass(MS);
    }
    pass(CAP_US);
    uint64_t id = send_call(1, 5000);
    CHECK(conn_of(id) == 0);
    for (uint64_t token = 2; token < 92; token++) {
        CHECK(conn_of(send_call(token, 5000)) == 1);
        pass(10 * MS);
    }
    reply_to(0, id);
    CHECK(state(0) == JRC_SERVER_UP);
    rig_stop(&rig);
}

static void test_one_that_stays_silent_is_replaced(void)
{
    for (int32_t connections = 1; connections <= 3; connections++) {
        begin(connections);
        uint64_t end_us = rig.now_us + 2 * SECOND;
        for (uint64_t token = 1; rig.now_us < end_us && token < 1000; token++) {
            uint64_t id = rig_call(&rig, token, 0, 20);
            if (conn_of(id) >= 0 && state(0) == JRC_SERVER_SUSPECT)
                rig_send(&rig, (uint32_t)conn_of(id), SIZE_MAX);
            pass(30 * MS);
            if (state(0) != JRC_SERVER_SUSPECT)
                break;
        }
        CHECK(state(0) == JRC_SERVER_CONNECTING);
        CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == (unsigned)connections);
        rig_stop(&rig);
    }
}

/* ---- a connection on trial, at a server that is up ---- */

/* Connection 1 is to replace connection 0. */
static void begin_proof(void)
{
    start(1, 10000);
    rig.servers.base_us = rig.servers.cap_us = CAP_US;
    rig.servers.trial_time_us = SECOND;
    rig_wait(&rig, 11 * SECOND);
    CHECK(conn(1) == JRC_SERVER_CONNECTING);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    CHECK(conn(1) == JRC_SERVER_PROVING && state(0) == JRC_SERVER_UP);
}

static void test_a_slow_connection_proves_itself(void)
{
    begin_proof();
    uint64_t id = send_call(1, 50);
    CHECK(conn_of(id) == 1);
    for (uint64_t token = 2; token < 60; token++) {
        pass(15 * MS);
        uint64_t other = send_call(token, 50);
        if (rig_outcome(&rig, 1) != NULL) /* another would be lost as well */
            CHECK(conn_of(other) == 0);
        reply_to((uint32_t)conn_of(other), other);
    }
    CHECK(conn(1) == JRC_SERVER_PROVING);
    reply_to(1, id);
    CHECK(conn(1) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    rig_stop(&rig);
}

static void test_a_connection_that_fails_its_trial_is_replaced(void)
{
    begin_proof();
    CHECK(conn_of(send_call(1, 50)) == 1);
    pass(SECOND - MS);
    CHECK(conn(1) == JRC_SERVER_PROVING);
    pass(MS);
    CHECK(conn(1) == JRC_SERVER_DOWN && state(0) == JRC_SERVER_UP);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    rig_stop(&rig);
}

/* Behind it may be a load balancer that is slow to find that it has none. */
static void test_to_stay_up_for_a_pause_proves_nothing(void)
{
    begin_proof();
    pass(SLOW_US);
    CHECK(conn(1) == JRC_SERVER_PROVING);
    pass(SECOND - SLOW_US);
    CHECK(conn(1) == JRC_SERVER_UP);
    rig_stop(&rig);
}

static void test_a_notification_proves_nothing_in_a_pause(void)
{
    begin_proof();
    rig_call(&rig, 1, JSONRPCC_NOTIFICATION, 5000);
    rig_send(&rig, 1, SIZE_MAX);
    pass(SLOW_US);
    CHECK(conn(1) == JRC_SERVER_PROVING);
    pass(SECOND - SLOW_US);
    CHECK(conn(1) == JRC_SERVER_UP);
    rig_stop(&rig);
}

/* So it is at a suspect: its trials give the others no more time. */
static void test_a_suspect_with_a_connection_to_prove(void)
{
    for (int notifies = 0; notifies < 2; notifies++) {
        begin_proof();
        rig.engine.conns[1].trial_us = rig.now_us + 100 * MS;
        for (uint64_t token = 1; token < 200; token++) {
            rig_call(&rig, token, 0, 20);
            rig_call(&rig, 1000, notifies ? JSONRPCC_NOTIFICATION : 0, 20);
            rig_send(&rig, 0, SIZE_MAX);
            rig_send(&rig, 1, SIZE_MAX);
            pass(30 * MS);
            if (state(0) == JRC_SERVER_CONNECTING)
                break;
            if (token == 10)
                CHECK(state(0) == JRC_SERVER_SUSPECT &&
                      conn(1) == JRC_SERVER_PROVING);
        }
        CHECK(state(0) == JRC_SERVER_CONNECTING);
        rig_stop(&rig);
    }
}

/* With client certificates, a refusal may take a second. */
static void test_unproven_connections_have_longer_pauses(void)
{
    begin_proof();
    rig.servers.prove_us = SECOND;
    uint64_t end_us = rig.now_us + SECOND;
    for (uint64_t token = 1; rig.now_us < end_us; token++) {
        rig_call(&rig, token, JSONRPCC_NOTIFICATION, 5000);
        CHECK((rig_send(&rig, 1, SIZE_MAX) > 0) == (token == 1));
        rig_send(&rig, 0, SIZE_MAX);
        pass(20 * MS);
    }
    rig_stop(&rig);
}

/* A call that timed out before does not speak against it. */
static void test_a_notification_proves_a_server(void)
{
    for (int32_t connections = 1; connections < 3; connections++) {
        start(connections, 0);
        rig.servers.base_us = rig.servers.cap_us = CAP_US;
        rig.servers.trial_time_us = SECOND;
        for (uint32_t i = 0; i < (uint32_t)connections; i++)
            jrc_engine_lost(&rig.engine, i, 104, rig.now_us);
        pass(CAP_US);
        jrc_engine_opened(&rig.engine, 0, rig.now_us);
        CHECK(state(0) == JRC_SERVER_PROVING);
        send_call(1, 10);
        pass(20 * MS);
        rig_call(&rig, 2, JSONRPCC_NOTIFICATION, 5000);
        rig_send(&rig, 0, SIZE_MAX);
        uint64_t id = send_call(3, 5000);
        pass(SECOND);
        CHECK(state(0) == JRC_SERVER_UP);
        reply_to(0, id);
        CHECK(rig_is(&rig, 3, JSONRPCC_OK, JSONRPCC_ANSWERED));
        rig_stop(&rig);
    }
}

int main(void)
{
    test_it_is_at_least_the_time_to_connect();
    test_a_slow_server_answers_a_trial();
    test_a_late_response_to_a_trial();
    test_each_connection_has_its_time();
    test_after_a_slow_call_a_connection_has_its_time();
    test_a_call_that_is_no_trial_has_the_time();
    test_a_trial_that_was_not_sent_takes_no_time();
    test_a_trial_that_was_long_in_leaving();
    test_a_notification_has_no_response_to_miss();
    test_one_that_did_not_read_for_a_while();
    test_we_look_before_we_replace_a_connection();
    test_one_trial_at_a_time();
    test_one_that_stays_silent_is_replaced();
    test_a_slow_connection_proves_itself();
    test_a_connection_that_fails_its_trial_is_replaced();
    test_to_stay_up_for_a_pause_proves_nothing();
    test_a_notification_proves_nothing_in_a_pause();
    test_a_suspect_with_a_connection_to_prove();
    test_unproven_connections_have_longer_pauses();
    test_a_notification_proves_a_server();
    return check_done();
}
