/* Which servers are used instead of those of the subset that are down, and how
 * long. */
#include "engine/names.h"
#include "rig_check.h"
#include "servers_check.h"

enum { PATIENCE = S };

static void start_engine(const char *servers, uint32_t most)
{
    rig_start_subset(&rig, servers, most);
    for (uint32_t i = 0; i < rig.servers.count; i++)
        if (state(i) == JRC_SERVER_CONNECTING)
            jrc_engine_opened(&rig.engine, i, rig.now_us);
    rig_todo(&rig, 0);
}

static uint32_t up(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < rig.servers.count; i++)
        n += state(i) == JRC_SERVER_UP;
    return n;
}

static uint32_t find(enum jrc_server_state in)
{
    uint32_t i = 0;

    while (i < rig.servers.count && state(i) != in)
        i++;
    CHECK(i < rig.servers.count);
    return i;
}

static void test_only_the_subset_is_connected(void)
{
    start_engine("a:1 b:1 c:1 d:1 e:1 f:1", 2);
    CHECK(up() == 2 && used(&rig.servers) == 2);
    rig_wait(&rig, 100 * S);
    CHECK(up() == 2 && used(&rig.servers) == 2);
    for (uint64_t token = 1; token <= 10; token++)
        rig_call(&rig, token, 0, 1000);
    uint32_t first = find(JRC_SERVER_UP);
    CHECK(rig_output(&rig, first) == (size_t)5 * FRAME);
    finish();
}

static void test_a_server_that_is_down_is_replaced_after_a_while(void)
{
    start_engine("a:1 b:1 c:1 d:1 e:1 f:1", 2);
    uint32_t lost = find(JRC_SERVER_UP);
    jrc_engine_lost(&rig.engine, lost, 104, rig.now_us);
    rig_wait(&rig, PATIENCE - 1);
    CHECK(used(&rig.servers) == 2);
    CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us + 1);
    rig_wait(&rig, 1);
    CHECK(used(&rig.servers) == 3 && up() == 1);
    for (uint32_t i = 0; i < rig.servers.count; i++)
        if (i != lost && state(i) == JRC_SERVER_CONNECTING)
            jrc_engine_opened(&rig.engine, i, rig.now_us);
    CHECK(up() == 2 && !rig.servers.list[lost].spare);
    rig_wait(&rig, 100 * S);
    CHECK(used(&rig.servers) == 3);
    finish();
}

/* Not at once: it may be lost again. */
static void test_a_server_returns_when_it_has_been_up_for_a_while(void)
{
    start_engine("a:1 b:1 c:1 d:1 e:1 f:1", 1);
    uint32_t lost = find(JRC_SERVER_UP), other = 0;
    uint64_t id;

    jrc_engine_lost(&rig.engine, lost, 104, rig.now_us);
    rig_wait(&rig, 0);
    while (other == lost || state(other) != JRC_SERVER_CONNECTING)
        other++;
    jrc_engine_opened(&rig.engine, other, rig.now_us);
    for (int n = 0; n < 2; n++) { /* the second time it stays */
        rig_wait(&rig, 10 * S);
        rig_todo(&rig, 0);
        CHECK(state(lost) == JRC_SERVER_CONNECTING && up() == 1);
        jrc_engine_opened(&rig.engine, lost, rig.now_us);
        CHECK(state(lost) == JRC_SERVER_PROVING);
        id = rig_call(&rig, (uint64_t)n + 1, 0, 60000);
        rig_send(&rig, lost, ALL);
        rig_reply(&rig, lost, "{\"id\":%llu,\"result\":1}",
                  (unsigned long long)id);
        CHECK(state(lost) == JRC_SERVER_UP && up() == 2);
        rig_wait(&rig, CAP - 1);
        CHECK(up() == 2 && !rig.servers.list[other].spare);
        if (n == 0)
            jrc_engine_lost(&rig.engine, lost, 104, rig.now_us);
    }
    /* What was sent to the other one is still answered. */
    id = 0;
    for (uint64_t token = 10; token < 12; token++) {
        uint64_t next = rig_call(&rig, token, 0, 3600000);
        if (jrc_calls_find(&rig.calls, next)->conn == (int32_t)other)
            id = next;
    }
    rig_send(&rig, other, ALL);
    rig_wait(&rig, 1);
    CHECK(state(other) == JRC_SERVER_LEAVING && rig.servers.list[other].spare);
    rig_wait(&rig, 100 * S);
    CHECK(state(other) == JRC_SERVER_LEAVING && id != 0);
    rig_reply(&rig, other, "{\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    rig_wait(&rig, 0);
    CHECK(state(other) == JRC_SERVER_DOWN && rig.servers.list[other].spare);
    CHECK((rig_todo(&rig, other) & JRC_SHUT) != 0);
    CHECK(rig_events(&rig, JSONRPCC_GONE, (int32_t)other) == 0);
    CHECK(rig_events(&rig, JSONRPCC_LEAVING, (int32_t)other) == 0);
    finish();
}

/* It is still connected: calls go there at once. */
static void test_a_spare_that_still_has_calls_returns(void)
{
    start_engine("a:1 b:1 c:1 d:1", 1);
    uint32_t first = find(JRC_SERVER_UP);
    jrc_engine_lost(&rig.engine, first, 104, rig.now_us);
    rig_wait(&rig, 0);
    rig_todo(&rig, 0);
    uint32_t other = find(JRC_SERVER_CONNECTING);
    jrc_engine_opened(&rig.engine, other, rig.now_us);
    uint64_t kept = rig_call(&rig, 1, 0, 3600000);
    rig_send(&rig, other, ALL);
    rig_wait(&rig, 10 * S); /* the first one is tried */
    jrc_engine_opened(&rig.engine, first, rig.now_us);
    uint64_t id = rig_call(&rig, 2, 0, 5000);
    rig_send(&rig, first, ALL);
    rig_reply(&rig, first, "{\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    rig_wait(&rig, CAP);
    CHECK(state(other) == JRC_SERVER_LEAVING && rig.servers.list[other].spare);
    jrc_engine_lost(&rig.engine, first, 104, rig.now_us);
    rig_call(&rig, 3, 0, 5000); /* waits until the engine has its turn */
    CHECK(rig_outcome(&rig, 3) == NULL);
    rig_wait(&rig, 0);
    CHECK(state(other) == JRC_SERVER_UP && !rig.servers.list[other].spare);
    CHECK(rig_output(&rig, other) == FRAME);
    CHECK(rig_events(&rig, JSONRPCC_ALL_DOWN, -1) == 0);
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, (int32_t)other) == 1);
    rig_reply(&rig, other, "{\"id\":%llu,\"result\":1}",
              (unsigned long long)kept);
    IS(1, OK, ANSWERED);
    finish();
}

/* No call fails while the list has any server left, and no lower priority is
 * used for longer than a connect takes. */
static void test_losing_the_last_server_brings_others_at_once(void)
{
    start_engine("a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1 j:1 k:1", 2);
    for (int n = 0; n < 2; n++) {
        rig_call(&rig, (uint64_t)n + 1, 0, 5000);
        jrc_engine_lost(&rig.engine, find(JRC_SERVER_UP), 104, rig.now_us);
    }
    /* Those two are down, too: twice as many each time, and then all. */
    for (uint32_t n = 4; n <= 16; n *= 2) {
        CHECK(used(&rig.servers) == (n < 11 ? n : 11));
        CHECK(rig.outcome_count == 0);
        CHECK(rig_events(&rig, JSONRPCC_ALL_DOWN, -1) == 0);
        rig_wait(&rig, 0);
        for (uint32_t i = 0; i < rig.servers.count; i++)
            if (state(i) == JRC_SERVER_CONNECTING)
                jrc_engine_lost(&rig.engine, i, 111, rig.now_us);
    }
    IS(1, EFAILURE, NOT_SENT);
    IS(2, EFAILURE, NOT_SENT);
    CHECK(rig_events(&rig, JSONRPCC_ALL_DOWN, -1) == 1);
    finish();
}

/* Then the others are spares again, whether they are connected or not. */
static void test_after_an_outage_only_the_subset_remains(void)
{
    start_engine("a:1 b:1 c:1 d:1 e:1 f:1", 2);
    bool chosen[6];
    for (uint32_t i = 0; i < 6; i++)
        chosen[i] = !rig.servers.list[i].spare;
    for (int n = 0; n < 40 && used(&rig.servers) < 6; n++) {
        for (uint32_t i = 0; i < 6; i++)
            if (state(i) == JRC_SERVER_CONNECTING || state(i) == JRC_SERVER_UP)
                jrc_engine_lost(&rig.engine, i, 111, rig.now_us);
        rig_wait(&rig, S);
    }
    CHECK(used(&rig.servers) == 6);
    for (int n = 0; n < 60; n++) {
        rig_wait(&rig, S);
        for (uint32_t i = 0; i < 6; i++)
            if (state(i) == JRC_SERVER_CONNECTING)
                jrc_engine_opened(&rig.engine, i, rig.now_us);
        for (uint64_t token = 0; token < 8; token++) {
            uint64_t id = rig_call(&rig, 1 + token, 0, 5000);
            uint32_t i = (uint32_t)jrc_calls_find(&rig.calls, id)->conn;
            rig_send(&rig, i, ALL);
            rig_reply(&rig, i, "{\"id\":%llu,\"result\":1}",
                      (unsigned long long)id);
        }
        uint32_t others = 0;
        for (uint32_t i = 0; i < 6; i++)
            others += !chosen[i] && state(i) == JRC_SERVER_UP;
        rig_todo(&rig, 0);
        CHECK(n == 0 || others <= 2);
    }
    for (uint32_t i = 0; i < 6; i++)
        CHECK(state(i) == (chosen[i] ? JRC_SERVER_UP : JRC_SERVER_DOWN));
    finish();
}

static void test_suspects_are_replaced_too(void)
{
    start_engine("a:1 b:1 c:1", 1);
    uint32_t silent = find(JRC_SERVER_UP);
    make_suspect(silent);
    CHECK(used(&rig.servers) == 3); /* since the next one takes a second, too */
    jrc_engine_opened(&rig.engine, find(JRC_SERVER_CONNECTING), rig.now_us);
    rig_wait(&rig, 0);
    CHECK(up() == 1 && used(&rig.servers) == 2);
    CHECK(!rig.servers.list[silent].spare);
    for (uint64_t token = 1; token <= 5; token++)
        rig_call(&rig, token, 0, 5000);
    CHECK(rig_output(&rig, silent) == FRAME); /* a trial */
    CHECK(rig_output(&rig, find(JRC_SERVER_UP)) == (size_t)4 * FRAME);
    finish();
}

static void test_spares_come_and_go_with_the_list(void)
{
    struct jrc_server_list list;
    char why[100];

    start_engine("a:1 b:1 c:1 d:1", 1);
    uint32_t first = find(JRC_SERVER_UP);
    uint64_t id = rig_call(&rig, 1, 0, 60000);
    rig_send(&rig, first, ALL);
    CHECK(jrc_servers_parse(&list, "e:1 f:1", why, sizeof why) == 0);
    jrc_engine_set_servers(&rig.engine, &list, rig.now_us);
    CHECK(state(first) == JRC_SERVER_LEAVING);
    for (uint32_t i = 0; i < 4; i++) /* they were not connected */
        CHECK(i == first || state(i) == JRC_SERVER_GONE);
    CHECK(rig_events(&rig, JSONRPCC_GONE, (int32_t)(first == 0)) == 1);
    rig_wait(&rig, 0);
    CHECK(used(&rig.servers) == 1 && rig.outcome_count == 0);
    jrc_engine_opened(&rig.engine, find(JRC_SERVER_CONNECTING), rig.now_us);
    CHECK(up() == 1);
    rig_reply(&rig, first, "{\"id\":%llu,\"result\":1}",
              (unsigned long long)id);
    IS(1, OK, ANSWERED);
    finish();
}

int main(void)
{
    test_only_the_subset_is_connected();
    test_a_server_that_is_down_is_replaced_after_a_while();
    test_a_server_returns_when_it_has_been_up_for_a_while();
    test_a_spare_that_still_has_calls_returns();
    test_losing_the_last_server_brings_others_at_once();
    test_after_an_outage_only_the_subset_remains();
    test_suspects_are_replaced_too();
    test_spares_come_and_go_with_the_list();
    return check_done();
}
