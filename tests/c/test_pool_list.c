/* What becomes of a server's connections when it leaves the list or returns. */
#include "pool_check.h"

#include "engine/names.h"
#include "table_of.h"

#include <errno.h>

static void set(const char *text)
{
    struct jrc_server_list list;
    char why[100];

    CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0);
    jrc_engine_set_servers(&rig.engine, &list, rig.now_us);
    rig_wait(&rig, 0);
}

static void test_all_of_them_leave_with_the_server(void)
{
    rig_start_wide(&rig, "h:1 h:2", 2, 0);
    open_all(0, 6);
    open_all(0, 6);
    uint64_t ids[4];
    for (uint64_t token = 0; token < 4; token++) {
        ids[token] = rig_call(&rig, token + 1, 0, 5000);
        rig_send(&rig, (uint32_t)conn_of(ids[token]), SIZE_MAX);
    }
    set("h:2");
    CHECK(state(0) == JRC_SERVER_LEAVING);
    for (uint64_t token = 0; token < 4; token++) {
        uint32_t at = (uint32_t)conn_of(ids[token]);
        CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 0 || at >= 3);
        reply_to(at, ids[token]);
        rig_wait(&rig, 0);
    }
    CHECK(state(0) == JRC_SERVER_GONE);
    CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 1);
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

static void test_they_return_with_the_server(void)
{
    start(2, 0);
    uint64_t ids[2];
    for (uint64_t token = 0; token < 2; token++) {
        ids[token] = rig_call(&rig, token + 1, 0, 5000);
        rig_send(&rig, (uint32_t)conn_of(ids[token]), SIZE_MAX);
    }
    set("h:2");
    CHECK(conn(0) == JRC_SERVER_LEAVING && conn(1) == JRC_SERVER_LEAVING);
    reply_to(0, ids[conn_of(ids[0]) == 0 ? 0 : 1]);
    rig_wait(&rig, 0);
    CHECK(conn(0) == JRC_SERVER_DOWN && state(0) == JRC_SERVER_LEAVING);
    set("h:1 h:2");
    CHECK(state(0) == JRC_SERVER_UP && conn(1) == JRC_SERVER_UP);
    CHECK(conn(0) == JRC_SERVER_CONNECTING);
    rig_wait(&rig, 60 * SECOND); /* the time limit for leaving is off */
    CHECK(conn(1) == JRC_SERVER_UP);
    rig_stop(&rig);
}

/* A server that returns starts anew: earlier failures do not count. */
static void test_what_failed_is_forgotten(void)
{
    start(2, 0);
    uint64_t id = rig_call(&rig, 1, 0, 60000);
    uint32_t busy = (uint32_t)conn_of(id), idle = 1 - busy;
    rig_send(&rig, busy, SIZE_MAX);
    jrc_engine_lost(&rig.engine, idle, ECONNRESET, rig.now_us);
    set("h:2");
    CHECK(state(0) == JRC_SERVER_LEAVING);
    set("h:1");
    CHECK(conn(idle) == JRC_SERVER_CONNECTING); /* without backoff */
    jrc_engine_opened(&rig.engine, idle, rig.now_us);
    CHECK(conn(idle) == JRC_SERVER_UP);
    rig_stop(&rig);
}

/* A connection that had been replaced, and only waits for a call, is not needed
 * when its server returns, either. */
static void test_one_that_was_replaced_does_not_return(void)
{
    start(1, 10000);
    uint64_t old = rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, SIZE_MAX);
    rig_wait(&rig, 11 * SECOND);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    uint64_t tried = rig_call(&rig, 2, 0, 60000);
    CHECK(conn_of(tried) == 1);
    rig_send(&rig, 1, SIZE_MAX);
    reply_to(1, tried);
    rig_wait(&rig, 0);
    CHECK(conn(0) == JRC_SERVER_LEAVING && conn(1) == JRC_SERVER_UP);
    uint64_t next = rig_call(&rig, 3, 0, 60000);
    rig_send(&rig, 1, SIZE_MAX);
    set("h:2");
    CHECK(conn(0) == JRC_SERVER_LEAVING && conn(1) == JRC_SERVER_LEAVING);
    set("h:1 h:2");
    CHECK(conn(0) == JRC_SERVER_LEAVING && conn(1) == JRC_SERVER_UP);
    reply_to(0, old);
    reply_to(1, next);
    CHECK(rig_is(&rig, 1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(rig_is(&rig, 3, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(rig_sound(&rig.engine));
    rig_stop(&rig);
}

/* Connections 1 and 2 are on trial when their server becomes a suspect and
 * leaves the list.  Then a response comes on one of them. */
static void test_a_response_while_it_leaves_is_a_proof(void)
{
    uint64_t token = 1, ids[2] = {0};

    start(3, 0);
    for (uint32_t i = 1; i < 3; i++)
        jrc_engine_lost(&rig.engine, i, ECONNRESET, rig.now_us);
    rig_wait(&rig, 2 * SECOND);
    for (uint32_t i = 1; i < 3; i++)
        jrc_engine_opened(&rig.engine, i, rig.now_us);
    for (int n = 0; n < 2; n++) {
        ids[n] = rig_call(&rig, token++, 0, 60000);
        CHECK(conn_of(ids[n]) > 0);
        rig_send(&rig, (uint32_t)conn_of(ids[n]), SIZE_MAX);
    }
    CHECK(conn_of(ids[0]) != conn_of(ids[1]));
    jrc_engine_lost(&rig.engine, 0, ECONNRESET, rig.now_us);
    CHECK(state(0) == JRC_SERVER_PROVING);
    while (state(0) == JRC_SERVER_PROVING && token < 20) {
        rig_call(&rig, token++, 0, 100);
        rig_send(&rig, 1, SIZE_MAX);
        rig_send(&rig, 2, SIZE_MAX);
        rig_wait(&rig, 4 * SECOND);
    }
    CHECK(state(0) == JRC_SERVER_SUSPECT);
    CHECK(conn(1) == JRC_SERVER_UP && conn(2) == JRC_SERVER_UP);
    set("h:2");
    CHECK(conn(1) == JRC_SERVER_LEAVING && conn(2) == JRC_SERVER_LEAVING);
    uint32_t proved = (uint32_t)conn_of(ids[0]);
    reply_to(proved, ids[0]);
    ids[0] = 0;
    set("h:1");
    CHECK(state(0) == JRC_SERVER_UP);
    CHECK(conn(3 - proved) == JRC_SERVER_PROVING);
    CHECK(conn(proved) == JRC_SERVER_UP);
    rig_stop(&rig);
}

int main(void)
{
    test_all_of_them_leave_with_the_server();
    test_they_return_with_the_server();
    test_what_failed_is_forgotten();
    test_one_that_was_replaced_does_not_return();
    test_a_response_while_it_leaves_is_a_proof();
    return check_done();
}
