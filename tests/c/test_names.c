/* The engine, driven by hand: names in the list of servers are looked up, and
 * their answers change the list, but end no call. */
#include "fault_here.h"

#include "engine/files.h"
#include "engine/names.h"
#include "engine/servers_parse.h"
#include "rig_check.h"

#include <errno.h>
#include <string.h>

enum { NO_NAME = -7, NOBODY_KNOWS = -8 };

static void set_servers(const char *text)
{
    struct jrc_server_list list;
    char why[100];

    CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0);
    jrc_engine_set_servers(&rig.engine, &list, rig.now_us);
    CHECK(list.entries == NULL && rig_sound(&rig.engine));
}

/* A client of one server, which then gets this list. */
static void start(const char *text)
{
    struct jrc_discovery *discovery = &rig.engine.discovery;

    rig_start(&rig, "old:1");
    discovery->refresh_us = 30 * S;
    discovery->min_us = S;
    discovery->patience_us = S;
    discovery->max = 4;
    set_servers(text);
}

/* The id of the name whose lookup is due; 0: none. */
static uint32_t lookup(void)
{
    const struct jrc_name *name = jrc_names_lookup(&rig.engine, rig.now_us);

    return name != NULL ? name->id : 0;
}

static void reply(uint32_t id, struct jrc_answer answer)
{
    jrc_names_answer(&rig.engine, id, &answer, rig.now_us);
    CHECK(answer.targets == NULL && rig_sound(&rig.engine));
}

/* Addresses 10.0.0.first to 10.0.0.last. */
static struct jrc_answer addresses(int first, int last)
{
    struct jrc_answer answer = {.kind = JRC_ANSWER_FOUND};
    char host[20];

    for (int i = first; i <= last; i++) {
        snprintf(host, sizeof host, "10.0.0.%d", i);
        CHECK(jrc_answer_add(&answer, host, 80, 0, 0));
    }
    return answer;
}

static struct jrc_answer nothing(enum jrc_answer_kind kind, int32_t reason)
{
    return (struct jrc_answer){.kind = kind, .reason = reason};
}

/* The last event of that kind; all zero: there was none. */
static jsonrpcc_event last(jsonrpcc_event_kind kind)
{
    for (size_t n = rig.event_count; n > 0; n--)
        if (rig.events[n - 1].kind == kind)
            return rig.events[n - 1];
    return (jsonrpcc_event){0};
}

/* The server with that host, or JRC_NO_CONN. */
static uint32_t server(const char *host)
{
    for (uint32_t i = 0; i < rig.servers.count; i++)
        if (rig.servers.list[i].state != JRC_SERVER_GONE &&
            strcmp(rig.servers.list[i].host, host) == 0)
            return i;
    return JRC_NO_CONN;
}

/* Its first attempt to connect works. */
static void bring_up(const char *host)
{
    uint32_t i = server(host);

    rig_wait(&rig, 0);
    CHECK((rig_todo(&rig, i) & JRC_OPEN) != 0);
    jrc_engine_opened(&rig.engine, i, rig.now_us);
}

static uint64_t events(jsonrpcc_event_kind kind)
{
    return rig.engine.counters.events[kind];
}

static void test_addresses_become_servers(void)
{
    start("b:1 dns:x:80");
    CHECK(rig.servers.has_names && rig.servers.awaits_names);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us);
    uint32_t id = lookup();
    CHECK(id != 0 && lookup() == 0 && rig.engine.counters.lookups == 1);
    CHECK(rig.servers.awaits_names);
    reply(id, addresses(1, 2));
    CHECK(!rig.servers.awaits_names && rig.engine.counters.list_changes == 1);
    jsonrpcc_event event = last(JSONRPCC_RESOLVED);
    CHECK(event.server == -1 && event.entry == id && event.reason == 0 &&
          event.added == 2 && event.gone == 0 && event.time_us == rig.now_us);
    CHECK(events(JSONRPCC_RESOLVED) == 1 && events(JSONRPCC_LIST_CUT) == 0);
    CHECK(server("b") != JRC_NO_CONN && server("x/10.0.0.1") != JRC_NO_CONN &&
          server("x/10.0.0.2") != JRC_NO_CONN);

    rig_wait(&rig, 27 * S - 1);
    CHECK(lookup() == 0);
    rig_wait(&rig, 6 * S + 1);
    CHECK(lookup() == id);
    reply(id, addresses(1, 2)); /* the same once more */
    CHECK(rig.engine.counters.list_changes == 1 &&
          events(JSONRPCC_RESOLVED) == 1);
    rig_wait(&rig, 33 * S);
    CHECK(lookup() == id);
    reply(id, addresses(2, 4));
    event = last(JSONRPCC_RESOLVED);
    CHECK(event.added == 2 && event.gone == 1);
    CHECK(server("x/10.0.0.1") == JRC_NO_CONN &&
          server("x/10.0.0.4") != JRC_NO_CONN);
    CHECK(rig.engine.counters.lookups == 3 &&
          rig.engine.counters.lookups_failed == 0);

    set_servers("b:1");
    CHECK(!rig.servers.has_names && server("x/10.0.0.4") == JRC_NO_CONN);
    rig_wait(&rig, 100 * S);
    CHECK(lookup() == 0);
    finish();
}

static void test_failures_are_reported_once_and_counted_each_time(void)
{
    start("dns:x:80");
    uint32_t id = lookup();
    for (uint64_t n = 1; n <= 3; n++) {
        reply(id, nothing(JRC_ANSWER_FAILED, NOBODY_KNOWS));
        CHECK(rig.engine.counters.lookups_failed == n);
        CHECK(events(JSONRPCC_RESOLVE_FAILED) == 1);
        rig_wait(&rig, 100 * S);
        CHECK(lookup() == id);
    }
    jsonrpcc_event event = last(JSONRPCC_RESOLVE_FAILED);
    CHECK(event.server == -1 && event.entry == id &&
          event.reason == NOBODY_KNOWS);
    CHECK(events(JSONRPCC_RESOLVED) == 0 &&
          rig.engine.counters.list_changes == 0);
    reply(id, addresses(1, 1));
    CHECK(last(JSONRPCC_RESOLVED).reason == 0);
    rig_wait(&rig, 33 * S);
    CHECK(lookup() == id);
    reply(id, nothing(JRC_ANSWER_FAILED, NOBODY_KNOWS));
    CHECK(events(JSONRPCC_RESOLVE_FAILED) == 2 &&
          server("x/10.0.0.1") != JRC_NO_CONN);
    finish();
}

static void test_calls_wait_for_the_first_lookup(void)
{
    start("dns:x:80");
    rig_wait(&rig, 0);
    rig_call(&rig, 1, 0, 60000);
    uint32_t id = lookup();
    rig_wait(&rig, S - 1);
    CHECK(rig.outcome_count == 0);
    reply(id, addresses(1, 1));
    CHECK(rig.outcome_count == 0);
    bring_up("x/10.0.0.1");
    CHECK(rig_output(&rig, server("x/10.0.0.1")) == FRAME);
    finish();
}

/* ... but not for ever, nor once it has failed. */
static void test_calls_fail_when_a_lookup_takes_long_or_fails(void)
{
    start("dns:x:80");
    uint32_t id = lookup();
    rig_call(&rig, 1, 0, 60000);
    rig_wait(&rig, S - 1);
    CHECK(rig.outcome_count == 0);
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us + 1);
    rig_wait(&rig, 1);
    IS(1, EFAILURE, NOT_SENT);
    CHECK(rig_outcome(&rig, 1)->reason == JSONRPCC_NO_REASON);

    set_servers("dns:y:80"); /* and x is not looked up any more */
    reply(id, addresses(1, 1));
    CHECK(server("x/10.0.0.1") == JRC_NO_CONN &&
          events(JSONRPCC_RESOLVED) == 0);
    rig_call(&rig, 2, 0, 60000);
    reply(lookup(), nothing(JRC_ANSWER_NONE, NO_NAME));
    IS(2, EFAILURE, NOT_SENT);
    CHECK(rig_outcome(&rig, 2)->reason == NO_NAME);
    finish();
}

static void lose(const char *host)
{
    jrc_engine_lost(&rig.engine, server(host), ECONNRESET, rig.now_us);
}

static void test_a_lost_server_has_its_name_looked_up(void)
{
    start("b:1 dns:x:80");
    uint32_t id = lookup();
    reply(id, addresses(1, 2));
    bring_up("b");
    jrc_engine_opened(&rig.engine, server("x/10.0.0.1"), rig.now_us);
    jrc_engine_opened(&rig.engine, server("x/10.0.0.2"), rig.now_us);
    rig_wait(&rig, S);
    lose("b");
    CHECK(lookup() == 0); /* that one was in the servers string */
    lose("x/10.0.0.1");
    CHECK(jrc_engine_next_us(&rig.engine) == rig.now_us && lookup() == id);
    reply(id, addresses(1, 2));
    lose("x/10.0.0.2");
    rig_wait(&rig, S - 1);
    CHECK(lookup() == 0); /* but not all the time */
    rig_wait(&rig, 1);
    CHECK(lookup() == id);
    finish();
}

static void test_a_list_that_was_cut_is_reported_once(void)
{
    start("dns:x:80");
    uint32_t id = lookup();
    reply(id, addresses(1, 6));
    jsonrpcc_event event = last(JSONRPCC_LIST_CUT);
    CHECK(event.server == -1 && event.gone == 2);
    set_servers("dns:x:80,2"); /* as before */
    CHECK(events(JSONRPCC_LIST_CUT) == 1);
    static const struct {
        int count;
        uint64_t events;
    } cases[] = {{7, 2}, {4, 2}, {7, 3}};
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        rig_wait(&rig, 33 * S);
        CHECK(lookup() == id);
        reply(id, addresses(1, cases[n].count));
        CHECK(events(JSONRPCC_LIST_CUT) == cases[n].events);
    }
    CHECK(last(JSONRPCC_LIST_CUT).gone == 3);
    finish();
}

static void test_a_file_that_was_touched_is_read(void)
{
    start("b:1 file:/etc/servers");
    uint32_t id = lookup();
    CHECK(id != 0);
    jrc_names_touch(&rig.engine, id, true, rig.now_us); /* being read already */
    reply(id, nothing(JRC_ANSWER_FAILED, ENOENT));
    rig_wait(&rig, JRC_FILE_GAP_US);
    CHECK(lookup() == 0);
    jrc_names_touch(&rig.engine, id + 1, true, rig.now_us); /* no entry's */
    CHECK(lookup() == 0);
    jrc_names_touch(&rig.engine, id, true, rig.now_us);
    CHECK(jrc_engine_next_us(&rig.engine) <= rig.now_us + JRC_FILE_GAP_US);
    rig_wait(&rig, JRC_FILE_GAP_US);
    CHECK(lookup() == id);
    finish();
}

static void test_nothing_is_looked_up_while_closing(void)
{
    start("dns:x:80");
    uint32_t id = lookup();
    jrc_engine_close(&rig.engine, rig.now_us, 0);
    reply(id, addresses(1, 1));
    set_servers("dns:y:80");
    CHECK(server("x/10.0.0.1") == JRC_NO_CONN);
    CHECK(events(JSONRPCC_RESOLVED) == 0 && events(JSONRPCC_LIST_REFUSED) == 0);
    rig_wait(&rig, 100 * S);
    CHECK(lookup() == 0);
    rig_stop(&rig);
}

static void test_the_domain_as_written(void)
{
    start("b:1 dns:x.y:80 srv:_a._tcp.x.y");
    uint32_t first = rig.engine.discovery.names[0].id;
    uint32_t second = rig.engine.discovery.names[1].id;
    CHECK(strcmp(jrc_names_domain(&rig.engine, first), "x.y") == 0);
    CHECK(strcmp(jrc_names_domain(&rig.engine, second), "x.y") == 0);
    CHECK(jrc_names_domain(&rig.engine, 0) == NULL);
    CHECK(jrc_names_domain(&rig.engine, second + 1) == NULL);
    finish();
}

/* Whichever allocation fails, the old list stays in force, for good or until
 * the next answer. */
static void test_out_of_memory(void)
{
    unsigned refused = 0, late = 0;

    start("b:1 dns:x:80");
    uint32_t id = lookup();
    reply(id, addresses(1, 2));
    for (unsigned n = 1; n < 30 && fault_has_memory(); n++) {
        struct jrc_server_list list;
        CHECK(jrc_servers_parse(&list, "dns:x:80 c:1", NULL, 0) == 0);
        fault_arm(FAULT_MEMORY, n, false);
        jrc_engine_set_servers(&rig.engine, &list, rig.now_us);
        fault_disarm();
        CHECK(list.entries == NULL && rig_sound(&rig.engine));
        if (server("c") != JRC_NO_CONN)
            break;
        if (rig.engine.is_behind)
            late++;
        else
            CHECK(events(JSONRPCC_LIST_REFUSED) == ++refused);
        CHECK(server("x/10.0.0.1") != JRC_NO_CONN);
    }
    if (fault_has_memory()) {
        CHECK(refused > 2 && late > 2 && refused + late < 30);
        CHECK(last(JSONRPCC_LIST_REFUSED).server == -1);
        CHECK(server("c") != JRC_NO_CONN);
    }
    finish();
}

/* Even if the next one says nothing new. */
static void test_an_answer_without_memory_counts_with_the_next(void)
{
    unsigned late = 0;

    for (unsigned n = 1; n < 30 && fault_has_memory(); n++) {
        start("dns:x:80");
        reply(lookup(), addresses(1, 1));
        rig_wait(&rig, 40 * S);
        uint32_t id = lookup();
        struct jrc_answer answer = addresses(2, 3);
        fault_arm(FAULT_MEMORY, n, false);
        jrc_names_answer(&rig.engine, id, &answer, rig.now_us);
        fault_disarm();
        bool was_late = rig.engine.is_behind;
        late += was_late;
        CHECK(!was_late || server("x/10.0.0.1") != JRC_NO_CONN);
        rig_wait(&rig, 40 * S);
        reply(lookup(), addresses(2, 3));
        CHECK(server("x/10.0.0.2") != JRC_NO_CONN && !rig.engine.is_behind);
        CHECK(rig.engine.counters.list_changes == 2);
        finish();
    }
    CHECK(!fault_has_memory() || (late > 3 && late < 29));
}

int main(void)
{
    test_addresses_become_servers();
    test_failures_are_reported_once_and_counted_each_time();
    test_calls_wait_for_the_first_lookup();
    test_calls_fail_when_a_lookup_takes_long_or_fails();
    test_a_lost_server_has_its_name_looked_up();
    test_a_list_that_was_cut_is_reported_once();
    test_a_file_that_was_touched_is_read();
    test_nothing_is_looked_up_while_closing();
    test_the_domain_as_written();
    test_out_of_memory();
    test_an_answer_without_memory_counts_with_the_next();
    return check_done();
}
