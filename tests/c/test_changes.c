/* The engine, driven by hand: the list of servers changes, and no call ends by
 * that. */
#include "engine/names.h"
#include "engine/servers_parse.h"
#include "rig_check.h"

#include <stdlib.h>
#include <string.h>

static void set_servers(const char *text)
{
    struct jrc_server_list list;
    char why[100];

    CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0);
    jrc_engine_set_servers(&rig.engine, &list, rig.now_us);
    CHECK(list.entries == NULL && rig_sound(&rig.engine));
}

static void test_sent_calls_are_still_answered(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    uint64_t id = rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, ALL);
    set_servers("b:1");
    CHECK(state(0) == JRC_SERVER_LEAVING && rig.outcome_count == 0);
    CHECK(rig_events(&rig, JSONRPCC_LEAVING, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 0);
    rig_call(&rig, 2, 0, 1000); /* a new one goes by the new list */
    CHECK(rig_output(&rig, 1) > 0 && rig_output(&rig, 0) == 0);
    rig_wait(&rig, S);
    CHECK((rig_todo(&rig, 0) & JRC_SHUT) == 0);
    rig_reply(&rig, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":7}",
              (unsigned long long)id);
    IS(1, OK, ANSWERED);
    CHECK(rig_outcome(&rig, 1)->server == 0);
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_GONE && (rig_todo(&rig, 0) & JRC_SHUT) != 0);
    CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 0);
    finish();
}

static void test_unsent_calls_go_elsewhere(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    for (uint64_t token = 1; token <= 3; token++)
        rig_call(&rig, token, 0, 1000);
    rig_send(&rig, 0, FRAME + 5); /* 1 is sent, and 2 has begun */
    set_servers("b:1");
    CHECK(rig.engine.conns[0].out.last - rig.engine.conns[0].out.first == 1);
    CHECK(rig.engine.conns[1].out.last - rig.engine.conns[1].out.first == 1);
    CHECK(rig.engine.counters.moved == 1);
    rig_send(&rig, 0, ALL); /* the rest of 2 */
    CHECK(rig.engine.conns[0].in_flight == 2);
    rig_wait(&rig, 2 * S);
    IS(1, ETIMEDOUT, UNKNOWN);
    IS(2, ETIMEDOUT, UNKNOWN);
    IS(3, ETIMEDOUT, NOT_SENT);
    CHECK(state(0) == JRC_SERVER_GONE); /* nobody is waiting for it any more */
    finish();
}

/* A server that is leaving can still be sent what no other server would
 * take. */
static void test_unsent_calls_stay_if_all_others_are_down(void)
{
    rig_start(&rig, "a:1 b:1");
    jrc_engine_lost(&rig.engine, 1, 104, rig.now_us);
    rig_call(&rig, 1, 0, 60000);
    set_servers("b:1");
    CHECK(rig.outcome_count == 0 && rig_output(&rig, 0) > 0);
    rig_call(&rig, 2, 0, 1000); /* but new ones are not */
    IS(2, EFAILURE, NOT_SENT);
    rig_wait(&rig, 10 * S);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    rig_wait(&rig, 0); /* now there is a server */
    CHECK(rig_output(&rig, 0) == 0 && rig_output(&rig, 1) > 0);
    CHECK(state(0) == JRC_SERVER_GONE && rig.outcome_count == 1);
    finish();
}

static void test_leaving_comes_to_an_end(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    rig_call(&rig, 1, 0, 3600000);
    rig_call(&rig, 2, JSONRPCC_IDEMPOTENT, 3600000);
    rig_send(&rig, 0, ALL);
    set_servers("b:1");
    CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us + 30 * S);
    rig_wait(&rig, 30 * S - 1);
    CHECK(rig.outcome_count == 0 && state(0) == JRC_SERVER_LEAVING);
    rig_wait(&rig, 1);
    IS(1, ECONNLOST, UNKNOWN);
    CHECK(rig_outcome(&rig, 1)->reason == JSONRPCC_LEAVE_TIMEOUT);
    CHECK(rig.outcome_count == 1 && rig_output(&rig, 1) > 0); /* 2 moved */
    CHECK(state(0) == JRC_SERVER_GONE && (rig_todo(&rig, 0) & JRC_SHUT) != 0);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 1);
    finish();
}

/* As long as we do not read, its answers may still be in our own buffer. */
static void test_our_own_silence_does_not_count(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    rig_call(&rig, 1, 0, 3600000);
    rig_send(&rig, 0, ALL);
    jrc_engine_set_reading(&rig.engine, false, rig.now_us);
    set_servers("b:1");
    rig_wait(&rig, 100 * S);
    CHECK(rig.outcome_count == 0);
    jrc_engine_set_reading(&rig.engine, true, rig.now_us);
    rig_wait(&rig, 30 * S - 1);
    CHECK(rig.outcome_count == 0);
    rig_wait(&rig, 1);
    IS(1, ECONNLOST, UNKNOWN);
    finish();
}

static void test_a_leaving_server_loses_its_connection(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    set_servers("b:1");
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    IS(1, ECONNLOST, UNKNOWN);
    CHECK(state(0) == JRC_SERVER_GONE);
    rig_wait(&rig, 100 * S); /* and is never opened again */
    CHECK((rig_todo(&rig, 0) & JRC_OPEN) == 0);
    CHECK(rig_events(&rig, JSONRPCC_LOST, 0) == 1);
    CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 1);
    finish();
}

static void test_a_connecting_server_leaves(void)
{
    rig_start_down(&rig, "a:1 b:1", -1);
    jrc_engine_connecting(&rig.engine, 0, rig.now_us);
    set_servers("b:1"); /* the attempt has not even been fetched */
    CHECK(state(0) == JRC_SERVER_GONE && rig_todo(&rig, 0) == JRC_SHUT);
    rig_wait(&rig, 0);
    CHECK(jrc_engine_next_us(&rig.engine) > rig.now_us);
    rig_wait(&rig, 100 * S);
    CHECK((rig_todo(&rig, 0) & JRC_OPEN) == 0);
    finish();
}

static void test_a_server_that_returns_in_time_keeps_its_connection(void)
{
    rig_start(&rig, "a:1,2 b:1,1");
    rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, 0, ALL);
    set_servers("b:1");
    set_servers("a:1 b:1");
    CHECK(state(0) == JRC_SERVER_UP && rig.engine.conns[0].in_flight == 1);
    CHECK(rig_events(&rig, JSONRPCC_ADDED, 0) == 1);
    rig_wait(&rig, 40 * S); /* it is no longer leaving */
    CHECK(state(0) == JRC_SERVER_UP && rig.outcome_count == 0);
    set_servers("b:1");
    set_servers("a:1");
    set_servers("b:1");
    rig_wait(&rig, 25 * S);
    IS(1, ETIMEDOUT, UNKNOWN);
    CHECK(state(0) == JRC_SERVER_GONE);
    CHECK(rig.engine.conns[0].connects == 1);
    set_servers("a:1"); /* the same one: its counters go on */
    rig_wait(&rig, 0);
    CHECK((rig_todo(&rig, 0) & JRC_OPEN) != 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_UP && rig.engine.conns[0].connects == 2);
    finish();
}

/* That no server is there is reported once, and again when it comes back. */
static void test_a_server_that_returns_is_reported_unreachable_again(void)
{
    rig_start_down(&rig, "a:1 b:1", -1);
    for (unsigned times = 1; times <= 2; times++) {
        for (unsigned n = 0; n < 2; n++) {
            rig_wait(&rig, 100 * S);
            rig_todo(&rig, 0);
            jrc_engine_connecting(&rig.engine, 0, rig.now_us);
            jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
            CHECK(rig_events(&rig, JSONRPCC_UNREACHABLE, 0) == times);
        }
        set_servers("b:1");
        CHECK(state(0) == JRC_SERVER_GONE);
        set_servers("a:1 b:1");
    }
    finish();
}

/* Bytes from before the end of a connection do not continue on the next one. */
static void test_half_a_response_does_not_outlive_its_connection(void)
{
    rig_start(&rig, "a:1 b:1");
    rig_bytes(&rig, 0, "38:{\"jsonrpc\"");
    set_servers("b:1");
    CHECK(state(0) == JRC_SERVER_GONE);
    set_servers("a:1");
    rig_wait(&rig, S);
    rig_todo(&rig, 0);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_send(&rig, 0, ALL);
    rig_reply(&rig, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":7}",
              (unsigned long long)id);
    IS(1, OK, ANSWERED);
    finish();
}

static void test_another_server_in_the_slot_starts_afresh(void)
{
    char text[20];

    rig_start(&rig, "a:1 b:1");
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    set_servers("b:1");
    rig_wait(&rig, 60 * S);
    CHECK(rig.servers.count == 2);
    set_servers("b:1 c:1");
    CHECK(rig.servers.count == 2 && strcmp(rig.servers.list[0].host, "c") == 0);
    CHECK(rig.engine.conns[0].connects == 0 && rig.engine.conns[0].losses == 0);
    CHECK(rig.servers.list[0].reason == 0);
    for (int n = 0; n < 1000; n++) { /* each a minute after the last one */
        rig_wait(&rig, 60 * S);
        snprintf(text, sizeof text, "x%d:1", n);
        set_servers(text);
    }
    CHECK(rig.servers.count <= 4);
    finish();
}

static void test_a_better_server_is_added(void)
{
    rig_start(&rig, "a:1,1");
    rig_call(&rig, 1, 0, 60000);
    set_servers("a:1,1 b:1,2");
    rig_wait(&rig, S); /* others are up: it is tried within that */
    CHECK((rig_todo(&rig, 1) & JRC_OPEN) != 0);
    rig_call(&rig, 2, 0, 60000);
    CHECK(rig_output(&rig, 0) == 2 * FRAME);
    jrc_engine_opened(&rig.engine, 1, rig.now_us);
    rig_call(&rig, 3, 0, 60000);
    CHECK(rig_output(&rig, 1) == FRAME);
    CHECK(rig_events(&rig, JSONRPCC_BACK, 1) == 1);
    set_servers("a:1,3 b:1,2"); /* a priority changes in place */
    rig_call(&rig, 4, 0, 60000);
    CHECK(rig_output(&rig, 0) == 3 * FRAME && rig.engine.counters.moved == 0);
    CHECK(rig.engine.conns[0].connects == 1);
    CHECK(rig_events(&rig, JSONRPCC_FAILED_OVER, 0) == 0);
    finish();
}

/* The priority that calls went to last has moved in the list, which is not a
 * failover. */
static void test_a_better_server_that_is_not_up_is_not_a_failover(void)
{
    rig_start(&rig, "a:1,3 b:1,2 c:1,1");
    jrc_engine_lost(&rig.engine, 0, 104, rig.now_us);
    rig_call(&rig, 1, 0, 60000);
    CHECK(rig_events(&rig, JSONRPCC_FAILED_OVER, 1) == 1);
    set_servers("d:1,4 b:1,2");
    rig_call(&rig, 2, 0, 60000);
    set_servers("b:1,2 c:1,1");
    rig_call(&rig, 3, 0, 60000);
    set_servers("d:1,4 e:1,3 b:1,2 c:1,1");
    rig_call(&rig, 4, 0, 60000);
    rig_wait(&rig, S); /* for the first attempts of the better ones */
    CHECK(rig_output(&rig, 1) == 4 * FRAME);
    CHECK(rig.engine.counters.events[JSONRPCC_FAILED_OVER] == 1);
    CHECK(rig.engine.counters.events[JSONRPCC_BACK] == 0);
    finish();
}

/* Many new servers within a minute: the last list waits, and the previous one
 * stays in force. */
static void test_a_list_that_finds_no_room_waits(void)
{
    char text[64 * 20] = "";

    rig_start(&rig, "a:1"); /* of 1024 slots */
    for (int n = 0; n < 16; n++) {
        for (int k = 0, at = 0; k < 64; k++)
            at += sprintf(text + at, "x%d:1 ", 64 * n + k);
        set_servers(text);
    }
    CHECK(rig_events(&rig, JSONRPCC_LIST_REFUSED, -1) == 1);
    CHECK(strcmp(rig.servers.list[896 + 1].host, "x896") == 0);
    rig_todo(&rig, 0);
    rig_call(&rig, 1, JSONRPCC_WAIT_FOR_READY, 100000);
    CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us + 60 * S);
    rig_wait(&rig, 60 * S);
    rig_todo(&rig, 0);
    CHECK(rig_events(&rig, JSONRPCC_LIST_REFUSED, -1) == 1);
    CHECK(rig.outcome_count == 0);
    unsigned listed = 0;
    for (size_t i = 0; i < rig.servers.count; i++)
        if (rig.servers.list[i].state != JRC_SERVER_GONE) {
            CHECK(atoi(rig.servers.list[i].host + 1) >= 960);
            listed++;
        }
    CHECK(listed == 64);
    finish();
}

/* Taken back late, and removed again at once. */
static void test_a_server_that_returns_with_a_late_list_may_leave_again(void)
{
    char text[65 * 20] = "";

    rig_start(&rig, "a:1");
    rig.engine.options.leave_timeout_ms = 100000;
    uint64_t id = rig_call(&rig, 1, 0, 200000);
    rig_send(&rig, 0, ALL);
    for (int n = 0; n < 16; n++) {
        int at = n < 15 ? 0 : sprintf(text, "a:1 ");
        for (int k = 0; k < 64; k++)
            at += sprintf(text + at, "x%d:1 ", 64 * n + k);
        set_servers(text);
    }
    CHECK(rig_events(&rig, JSONRPCC_LIST_REFUSED, -1) == 1);
    CHECK(state(0) == JRC_SERVER_LEAVING);
    rig_wait(&rig, 60 * S);
    CHECK(state(0) == JRC_SERVER_UP);
    set_servers("b:1");
    CHECK(state(0) == JRC_SERVER_LEAVING);
    CHECK(rig_events(&rig, JSONRPCC_LEAVING, 0) == 2);
    rig_wait(&rig, 99 * S);
    CHECK(state(0) == JRC_SERVER_LEAVING);
    rig_reply(&rig, 0, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":7}",
              (unsigned long long)id);
    IS(1, OK, ANSWERED);
    rig_wait(&rig, 0);
    CHECK(state(0) == JRC_SERVER_GONE);
    CHECK(rig_events(&rig, JSONRPCC_GONE, 0) == 1);
    finish();
}

static void test_nothing_changes_after_a_close(void)
{
    rig_start(&rig, "a:1");
    jrc_engine_close(&rig.engine, rig.now_us, S);
    set_servers("b:1");
    CHECK(state(0) == JRC_SERVER_UP && rig.servers.count == 1);
    finish();
}

/* It became a suspect before its first response, and has responded since. */
static void test_one_that_was_a_suspect_returns_as_it_was(void)
{
    rig_start_down(&rig, "a:1 b:1", -1);
    jrc_engine_lost(&rig.engine, 0, 111, rig.now_us);
    rig_wait(&rig, S);
    jrc_engine_opened(&rig.engine, 0, rig.now_us);
    CHECK(state(0) == JRC_SERVER_PROVING);
    make_suspect(0);
    uint64_t id = rig_call(&rig, 1, 0, 1000);
    rig_call(&rig, 2, 0, 60000); /* until it returns */
    rig_send(&rig, 0, ALL);
    answer(0, id);
    set_servers("b:1");
    CHECK(state(0) == JRC_SERVER_LEAVING);
    set_servers("a:1 b:1");
    CHECK(state(0) == JRC_SERVER_UP);
    finish();
}

int main(void)
{
    test_one_that_was_a_suspect_returns_as_it_was();
    test_sent_calls_are_still_answered();
    test_unsent_calls_go_elsewhere();
    test_unsent_calls_stay_if_all_others_are_down();
    test_leaving_comes_to_an_end();
    test_our_own_silence_does_not_count();
    test_a_leaving_server_loses_its_connection();
    test_a_connecting_server_leaves();
    test_a_server_that_returns_in_time_keeps_its_connection();
    test_a_server_that_returns_is_reported_unreachable_again();
    test_half_a_response_does_not_outlive_its_connection();
    test_another_server_in_the_slot_starts_afresh();
    test_a_better_server_is_added();
    test_a_better_server_that_is_not_up_is_not_a_failover();
    test_a_list_that_finds_no_room_waits();
    test_a_server_that_returns_with_a_late_list_may_leave_again();
    test_nothing_changes_after_a_close();
    return check_done();
}
