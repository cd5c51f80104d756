/* Every connection has to prove itself, as a server may be late to refuse a
 * client certificate.  Until its first response, it gets one call at a time,
 * whatever the other servers do. */
#include "engine/greeting.h"
#include "rig.h"
#include "servers_check.h"
#include "wire/netstring.h"

enum { PROVE_US = 1000000, SECOND = 1000000 };

static void begin(struct rig *r, const char *servers)
{
    rig_start_down(r, servers, -1);
    r->servers.prove_us = PROVE_US;
    rig_wait(r, 0);
}

static void open_one(struct rig *r, uint32_t i)
{
    CHECK((rig_todo(r, i) & JRC_OPEN) != 0);
    jrc_engine_opened(&r->engine, i, r->now_us);
}

/* ---- the policy ---- */

static void test_nothing_but_trials_until_a_response(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1", -1);
    s.prove_us = PROVE_US;
    come_up(&s, 0, 0);
    CHECK(s.list[0].state == JRC_SERVER_PROVING);
    CHECK(jrc_servers_peek(&s, 0) == 0);
    CHECK(jrc_servers_pick(&s, 0, 5 * SECOND, NULL) == JRC_SERVER_PENDING);
    CHECK(jrc_servers_pick(&s, 1, 5 * SECOND, &trial) == 0 && trial);
    CHECK(jrc_servers_peek(&s, 1) == JRC_SERVER_PENDING);
    CHECK(jrc_servers_peek_us(&s) == 1 + PROVE_US);
    CHECK(jrc_servers_pick(&s, PROVE_US, 5 * SECOND, &trial) ==
              JRC_SERVER_PENDING &&
          !trial);
    CHECK(jrc_servers_pick(&s, 1 + PROVE_US, 5 * SECOND, &trial) == 0 && trial);
    /* The second trial ended early, but the first may still be refused. */
    jrc_servers_tried(&s, 0, 2 + PROVE_US);
    CHECK(jrc_servers_peek(&s, 2 + PROVE_US) == JRC_SERVER_PENDING);
    CHECK(jrc_servers_answered(&s, 0, 3 + PROVE_US));
    for (int n = 0; n < 10; n++)
        CHECK(jrc_servers_pick(&s, 3 + PROVE_US, 0, NULL) == 0);
    /* The next connection has to prove itself again. */
    go_down(&s, 0, 4 * SECOND, 0);
    come_up(&s, 0, 4 * SECOND);
    CHECK(jrc_servers_pick(&s, 4 * SECOND, 0, NULL) == JRC_SERVER_PENDING);
    jrc_servers_clear(&s);
}

/* While another server is up, it is treated like a server that has failed. */
static void test_another_server_that_is_up_gets_the_calls(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1 b:1", -1);
    s.prove_us = PROVE_US;
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    CHECK(jrc_servers_pick(&s, 1, SECOND, &trial) == 0 && trial);
    CHECK(jrc_servers_pick(&s, 1, SECOND, &trial) == 1 && trial);
    CHECK(jrc_servers_peek(&s, 1) == JRC_SERVER_PENDING);
    jrc_servers_answered(&s, 1, 10);
    for (uint64_t t = 10; t < CAP; t += SECOND)
        CHECK(jrc_servers_pick(&s, t, t, &trial) == 1 && !trial);
    /* Once the other server is down, the next trial is due at once. */
    go_down(&s, 1, 2 * SECOND, 0);
    CHECK(jrc_servers_pick(&s, 2 * SECOND, 0, &trial) == 0 && trial);
    jrc_servers_clear(&s);
}

static void test_a_proof_is_waited_for_rather_than_a_suspect(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1 b:1", -1);
    s.prove_us = PROVE_US;
    come_up(&s, 0, 0);
    jrc_servers_answered(&s, 0, 0);
    for (int n = 0; n < JRC_SUSPECT_AFTER; n++)
        jrc_servers_timed_out(&s, 0, 0, false, MOST);
    CHECK(s.list[0].state == JRC_SERVER_SUSPECT);
    CHECK(pick(&s, 0) == 0); /* it is the only one */
    come_up(&s, 1, 1);
    CHECK(jrc_servers_pick(&s, 1, 0, &trial) == 1 && trial);
    CHECK(jrc_servers_peek(&s, 1) == JRC_SERVER_PENDING);
    /* Now both are suspects, and only the first has ever answered. */
    for (int n = 0; n < JRC_SUSPECT_AFTER; n++)
        jrc_servers_timed_out(&s, 1, 1, false, MOST);
    CHECK(jrc_servers_pick(&s, 1, 0, NULL) == 0);
    jrc_servers_clear(&s);
}

static void test_a_better_one_is_waited_for_at_first(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,1", -1);
    s.prove_us = PROVE_US;
    jrc_servers_attempt(&s, 0, 0);
    come_up(&s, 1, 0);
    CHECK(jrc_servers_pick(&s, 0, 0, &trial) == JRC_SERVER_PENDING);
    CHECK(jrc_servers_peek_us(&s) == JRC_FIRST_CHOICE_US);
    CHECK(jrc_servers_pick(&s, JRC_FIRST_CHOICE_US, 0, &trial) == 1 && trial);
    jrc_servers_clear(&s);
}

static void test_unix_sockets_need_no_proof(void)
{
    struct jrc_servers s;

    start(&s, "unix:/a", -1);
    s.prove_us = PROVE_US;
    come_up(&s, 0, 0);
    CHECK(s.list[0].state == JRC_SERVER_UP);
    jrc_servers_clear(&s);
}

/* ---- the engine ---- */

static void test_a_refusal_costs_one_call(void)
{
    struct rig r;
    uint64_t ids[10];

    begin(&r, "a:1");
    for (uint64_t n = 0; n < 10; n++)
        ids[n] = rig_call(&r, 1 + n, 0, 5000);
    open_one(&r, 0);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    CHECK(rig_output(&r, 0) > 0 && rig_output(&r, 0) < 2 * RIG_REQUEST);
    rig_send(&r, 0, SIZE_MAX);
    for (uint64_t n = 0; n < 10; n++)
        rig_call(&r, 11 + n, 0, 5000);
    rig_wait(&r, 1000);
    CHECK(rig_output(&r, 0) == 0);
    jrc_engine_lost(&r.engine, 0, JSONRPCC_TLS, r.now_us);
    CHECK(rig_is(&r, 1, JSONRPCC_ECONNLOST, JSONRPCC_UNKNOWN));
    for (uint64_t n = 2; n <= 20; n++)
        CHECK(rig_is(&r, n, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    CHECK(ids[9] != 0 && rig_sound(&r.engine));
    rig_stop(&r);
}

static void test_a_response_lets_the_others_go(void)
{
    struct rig r;

    begin(&r, "a:1");
    uint64_t id = rig_call(&r, 1, 0, 5000);
    open_one(&r, 0);
    rig_send(&r, 0, SIZE_MAX);
    /* The others wait: that the first call was sent proves nothing. */
    for (uint64_t n = 2; n <= 20; n++)
        rig_call(&r, n, 0, 5000);
    CHECK(rig_output(&r, 0) == 0);
    rig_reply(&r, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    CHECK(r.servers.list[0].state == JRC_SERVER_UP);
    rig_wait(&r, 0);
    CHECK(rig_output(&r, 0) > 19 * 40);
    rig_stop(&r);
}

/* A slow first call delays the others, but does not block them. */
static void test_the_next_call_goes_when_the_first_takes_long(void)
{
    struct rig r;

    begin(&r, "a:1");
    for (uint64_t n = 1; n <= 5; n++)
        rig_call(&r, n, 0, 60000);
    open_one(&r, 0);
    for (int n = 0; n < 3; n++) {
        CHECK(rig_send(&r, 0, SIZE_MAX) > 0);
        CHECK(jrc_engine_next_us(&r.engine) == r.now_us + PROVE_US);
        rig_wait(&r, PROVE_US - 1);
        CHECK(rig_output(&r, 0) == 0);
        rig_wait(&r, 1);
    }
    rig_stop(&r);
}

/* A notification gets no response: that the connection stays up is enough. */
static void test_notifications_prove_it_by_time(void)
{
    struct rig r;

    begin(&r, "a:1");
    for (uint64_t n = 1; n <= 10; n++)
        rig_call(&r, n, JSONRPCC_NOTIFICATION, 5000);
    open_one(&r, 0);
    size_t one = rig_send(&r, 0, SIZE_MAX);
    CHECK(one > 0 && rig_output(&r, 0) == 0);
    rig_wait(&r, PROVE_US - 1);
    CHECK(rig_output(&r, 0) == 0);
    rig_wait(&r, 1);
    CHECK(r.servers.list[0].state == JRC_SERVER_UP);
    CHECK(rig_output(&r, 0) >= 9 * one);
    rig_stop(&r);
}

/* ---- several connections ---- */

static enum jrc_server_state conn(const struct rig *r, uint32_t i)
{
    return r->engine.conns[i].state;
}

static int32_t conn_of(struct rig *r, uint64_t id)
{
    return jrc_calls_find(&r->calls, id)->conn;
}

/* Open three connections; only connection 0 has proved itself. */
static void begin_wide(struct rig *r)
{
    rig_start_wide(r, "a:1", 3, 0);
    r->servers.prove_us = PROVE_US;
    open_one(r, 0);
    uint64_t id = rig_call(r, 1, 0, 5000);
    rig_send(r, 0, SIZE_MAX);
    rig_reply(r, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    rig_wait(r, 0);
    open_one(r, 1);
    jrc_engine_opened(&r->engine, 2, r->now_us);
    CHECK(conn(r, 1) == JRC_SERVER_PROVING && conn(r, 2) == JRC_SERVER_PROVING);
}

/* A response on one connection proves nothing about another, even if the server
 * was a suspect in between. */
static void test_a_suspect_that_is_trusted_has_connections_to_prove(void)
{
    struct rig r;
    uint64_t token = 2;

    begin_wide(&r);
    jrc_engine_lost(&r.engine, 0, 104, r.now_us);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    for (; r.servers.list[0].state == JRC_SERVER_PROVING && token < 9;
         token++) {
        rig_call(&r, token, 0, 10);
        rig_send(&r, 1, SIZE_MAX);
        rig_send(&r, 2, SIZE_MAX);
        rig_wait(&r, PROVE_US);
    }
    CHECK(r.servers.list[0].state == JRC_SERVER_SUSPECT);
    CHECK(conn(&r, 1) == JRC_SERVER_UP && conn(&r, 2) == JRC_SERVER_UP);
    rig_reply(&r, 1, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":1}");
    CHECK(r.servers.list[0].state == JRC_SERVER_UP);
    CHECK(conn(&r, 1) == JRC_SERVER_UP && conn(&r, 2) == JRC_SERVER_PROVING);
    unsigned went = 0;
    for (int n = 0; n < 10; n++)
        went += conn_of(&r, rig_call(&r, token++, 0, 5000)) == 2;
    CHECK(went <= 1 && rig_sound(&r.engine));
    rig_stop(&r);
}

/* The time between trials is counted for each connection separately. */
static void test_each_connection_has_its_own_second(void)
{
    struct rig r;

    begin_wide(&r);
    uint64_t first = rig_call(&r, 2, 0, 60000);
    rig_wait(&r, PROVE_US / 2);
    uint64_t second = rig_call(&r, 3, 0, 60000);
    CHECK(conn_of(&r, first) == 1 && conn_of(&r, second) == 2);
    rig_send(&r, 1, SIZE_MAX);
    rig_send(&r, 2, SIZE_MAX);
    jrc_engine_lost(&r.engine, 0, 104, r.now_us);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    jrc_engine_lost(&r.engine, 1, 104, r.now_us);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    rig_call(&r, 4, 0, 60000);
    rig_wait(&r, PROVE_US - 1);
    CHECK(rig_output(&r, 2) == 0);
    rig_wait(&r, 1);
    CHECK(rig_output(&r, 2) > 0);
    rig_stop(&r);
}

/* Server 0 loses its first connection while it opens two more; the first of
 * these has to prove the server. */
static void begin_again(struct rig *r, const char *servers)
{
    rig_start_wide(r, servers, 3, 0);
    open_one(r, 0);
    rig_wait(r, 0);
    CHECK(conn(r, 1) == JRC_SERVER_CONNECTING &&
          conn(r, 2) == JRC_SERVER_CONNECTING);
    jrc_engine_lost(&r->engine, 0, 104, r->now_us);
    jrc_engine_opened(&r->engine, 1, r->now_us);
    CHECK(r->servers.list[0].state == JRC_SERVER_PROVING);
}

/* A connection has to prove itself even if its attempt began before the server
 * failed. */
static void test_what_comes_to_a_server_on_trial_is_on_trial(void)
{
    struct rig r;

    begin_again(&r, "a:1 b:1");
    jrc_engine_opened(&r.engine, 4, r.now_us);
    CHECK(conn_of(&r, rig_call(&r, 1, 0, 5000)) == 1);
    jrc_engine_opened(&r.engine, 2, r.now_us);
    CHECK(conn(&r, 2) == JRC_SERVER_PROVING);
    CHECK(conn_of(&r, rig_call(&r, 2, 0, 5000)) == 2); /* its own trial */
    for (uint64_t n = 3; n < 10; n++)
        CHECK(conn_of(&r, rig_call(&r, n, 0, 5000)) == 4);
    jrc_engine_lost(&r.engine, 1, 104, r.now_us);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    rig_send(&r, 2, SIZE_MAX);
    rig_reply(&r, 2, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":1}");
    CHECK(r.servers.list[0].state == JRC_SERVER_UP &&
          conn(&r, 2) == JRC_SERVER_UP);
    rig_stop(&r);
}

/* Staying up may prove a connection, but a server has to respond. */
static void test_silence_proves_no_server(void)
{
    struct rig r;

    begin_again(&r, "a:1 b:1");
    jrc_engine_opened(&r.engine, 2, r.now_us); /* opened while on trial */
    jrc_engine_opened(&r.engine, 4, r.now_us);
    CHECK(conn_of(&r, rig_call(&r, 1, 0, 60000)) == 1);
    rig_send(&r, 1, SIZE_MAX);
    rig_wait(&r, 20 * SECOND);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    rig_reply(&r, 1, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}");
    CHECK(r.servers.list[0].state == JRC_SERVER_UP);
    CHECK(conn(&r, 1) == JRC_SERVER_UP && conn(&r, 2) == JRC_SERVER_PROVING);
    rig_wait(&r, 10 * SECOND);
    CHECK(conn(&r, 2) == JRC_SERVER_UP);
    rig_stop(&r);

    begin_wide(&r);
    jrc_engine_lost(&r.engine, 0, 104, r.now_us); /* after 1 and 2 opened */
    rig_wait(&r, 20 * SECOND);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    rig_stop(&r);
}

/* The response to a hello counts. */
static void test_a_hello_proves_its_server(void)
{
    const jsonrpcc_call login = {
        .size = sizeof login, .method = "login", .method_len = 5};
    struct jrc_hello *hello;
    struct rig r;
    char why[100];

    begin_again(&r, "a:1");
    CHECK(jrc_hello_new(&hello, &login, 1, JSONRPCC_HELLO_BY_NAME,
                        &jrc_netstrings, why, sizeof why) == 0);
    jrc_engine_set_hello(&r.engine, hello);
    jrc_engine_opened(&r.engine, 2, r.now_us);
    CHECK(conn(&r, 2) == JRC_SERVER_GREETING);
    CHECK(r.servers.list[0].state == JRC_SERVER_PROVING);
    rig_send(&r, 2, SIZE_MAX);
    rig_reply(&r, 2, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}");
    CHECK(r.servers.list[0].state == JRC_SERVER_UP);
    CHECK(conn(&r, 1) == JRC_SERVER_PROVING && conn(&r, 2) == JRC_SERVER_UP);
    rig_stop(&r);
}

int main(void)
{
    test_nothing_but_trials_until_a_response();
    test_another_server_that_is_up_gets_the_calls();
    test_a_proof_is_waited_for_rather_than_a_suspect();
    test_a_better_one_is_waited_for_at_first();
    test_unix_sockets_need_no_proof();
    test_a_refusal_costs_one_call();
    test_a_response_lets_the_others_go();
    test_the_next_call_goes_when_the_first_takes_long();
    test_notifications_prove_it_by_time();
    test_a_suspect_that_is_trusted_has_connections_to_prove();
    test_each_connection_has_its_own_second();
    test_what_comes_to_a_server_on_trial_is_on_trial();
    test_silence_proves_no_server();
    test_a_hello_proves_its_server();
    return check_done();
}
