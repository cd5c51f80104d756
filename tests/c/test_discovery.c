/* Names: when they are looked up, which answers are believed, and the list. */
#include "fault_here.h"

#include "check.h"
#include "engine/discovery.h"
#include "engine/servers.h"
#include "engine/servers_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define S UINT64_C(1000000)

static struct jrc_discovery d;
static uint64_t now;

static void start(const char *text)
{
    memset(&d, 0, sizeof d);
    d.refresh_us = 30 * S;
    d.min_us = 1 * S;
    d.srv_us = 5 * S;
    d.patience_us = 1 * S;
    d.max = 8;
    d.seed = 1;
    now = 1000 * S;
    struct jrc_server_list list;
    char why[200];
    if (!CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0))
        printf("  %s\n", why);
    CHECK(jrc_discovery_set(&d, &list, now) && list.entries == NULL);
}

static void set(const char *text)
{
    struct jrc_server_list list;

    CHECK(jrc_servers_parse(&list, text, NULL, 0) == 0);
    CHECK(jrc_discovery_set(&d, &list, now));
}

/* "10.0.0.1:80 10.0.0.2:80" or, of SRV records, "a:80/1,2": /priority,weight */
static struct jrc_answer found(const char *text, uint32_t ttl_s)
{
    struct jrc_answer answer = {.kind = JRC_ANSWER_FOUND, .ttl_s = ttl_s};
    char host[64];
    unsigned port, priority, weight;
    int used;

    while (*text != '\0') {
        priority = weight = 0;
        if (sscanf(text, "%63[^:]:%u%n", host, &port, &used) < 2)
            break;
        text += used;
        if (*text == '/') {
            sscanf(text, "/%u,%u%n", &priority, &weight, &used);
            text += used;
        }
        CHECK(jrc_answer_add(&answer, host, (uint16_t)port, (uint16_t)priority,
                             (uint16_t)weight));
        text += strspn(text, " ");
    }
    return answer;
}

/* Answer the lookup that is due now. */
static bool answer(struct jrc_answer a, uint32_t dice)
{
    struct jrc_name *name = jrc_discovery_due(&d, now);

    if (!CHECK(name != NULL)) {
        jrc_answer_clear(&a);
        return false;
    }
    bool changes = jrc_discovery_answer(&d, name, &a, now, dice);
    CHECK(a.targets == NULL && a.count == 0);
    return changes;
}

static bool answer_none(uint32_t dice)
{
    return answer((struct jrc_answer){.kind = JRC_ANSWER_NONE, .reason = -7},
                  dice);
}

static bool answer_failed(uint32_t dice)
{
    return answer((struct jrc_answer){.kind = JRC_ANSWER_FAILED, .reason = -8},
                  dice);
}

/* Let it become time for the next lookup; returns how long that takes. */
static uint64_t wait_for_next(void)
{
    uint64_t next = jrc_discovery_next_us(&d, now);

    CHECK(next != JRC_NEVER && next >= now);
    CHECK(next == now || jrc_discovery_due(&d, next - 1) == NULL);
    uint64_t took = next - now;
    now = next;
    return took;
}

/* The list as text: host:port,priority with the group behind '='. */
static const char *list_text(void)
{
    static char text[2000];
    struct jrc_server_list list;
    size_t left_out, at = 0;

    text[0] = '\0';
    CHECK(jrc_discovery_list(&d, &list, &left_out));
    for (size_t i = 0; i < list.count; i++) {
        const struct jrc_entry *e = &list.entries[i];
        at += (size_t)sprintf(text + at, "%s%s:%u=%u", i > 0 ? " " : "",
                              e->host, (unsigned)e->port, e->group);
    }
    jrc_server_list_clear(&list);
    return text;
}

static void check_list(const char *want)
{
    const char *text = list_text();

    if (!CHECK(strcmp(text, want) == 0))
        printf("  %s\n", text);
}

static void finish(void)
{
    jrc_discovery_clear(&d);
}

static void test_each_address_is_a_server(void)
{
    start("dns:b.x:80,2 c:1 dns6:b.x:80");
    CHECK(d.count == 2 && jrc_discovery_is_pending(&d, now));
    check_list("c:1=0");
    CHECK(answer(found("10.0.0.2:80 10.0.0.1:80", 0), 0));
    CHECK(jrc_discovery_is_pending(&d, now)); /* the other one */
    CHECK(answer(found("10.9.9.9:80", 0), 0));
    CHECK(!jrc_discovery_is_pending(&d, now));
    CHECK(jrc_discovery_due(&d, now) == NULL);
    finish();
}

static void test_groups_of_both_priorities(void)
{
    start("srv:_a._tcp.x,2 h:1,2 srv:_b._tcp.x,1");
    CHECK(answer(found("p:1/20,0 q:1/10,5 r:1/0,0", 60), 0));
    CHECK(answer(found("s:1/0,0 t:1/7,0", 60), 0));
    /* The entry's priority first, larger before smaller; then the record's,
     * smaller before larger, where a plain server has 0. */
    check_list("p:1=2 q:1=1 r:1=0 h:1=0 s:1=3 t:1=4");
    finish();
}

static void test_a_server_twice_has_its_best_place(void)
{
    start("10.0.0.1:80,1 dns:x:80,2 dns:y:80,3");
    CHECK(answer(found("10.0.0.1:80 10.0.0.2:80", 0), 0));
    check_list("x/10.0.0.1:80=0 x/10.0.0.2:80=0");
    CHECK(answer(found("10.0.0.2:80", 0), 0));
    check_list("x/10.0.0.1:80=1 y/10.0.0.2:80=0");
    finish();
}

static void test_the_same_answer_changes_nothing(void)
{
    start("dns:x:80");
    CHECK(answer(found("10.0.0.1:80 10.0.0.2:80", 0), 0));
    wait_for_next();
    CHECK(!answer(found("10.0.0.2:80 10.0.0.1:80", 0), 0));
    wait_for_next();
    CHECK(answer(found("10.0.0.2:80", 0), 0));
    check_list("x/10.0.0.2:80=0");
    finish();
}

/* ---- when ---------------------------------------------------------------- */

static void test_refresh_with_jitter(void)
{
    static const uint32_t dice[] = {0, UINT32_MAX / 2, UINT32_MAX};

    start("dns:x:80");
    for (size_t i = 0; i < 3; i++) {
        answer(found("10.0.0.1:80", 7), dice[i]); /* no TTL counts here */
        uint64_t took = wait_for_next();
        CHECK(took / 10000 == 2700 + i * 300 || took / 10000 == 2699 + i * 300);
    }
    finish();
}

static void test_srv_follows_its_ttl(void)
{
    static const struct {
        uint32_t ttl_s;
        uint64_t least_s;
    } cases[] = {
        {60, 60},          {5, 5}, {1, 5}, {0, 5}, {300, 300}, {301, 300},
        {UINT32_MAX, 300},
    };

    start("srv:_a._tcp.x");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer(found("a:1", cases[i].ttl_s), 0);
        CHECK(wait_for_next() == cases[i].least_s * S);
        answer(found("a:1", cases[i].ttl_s), UINT32_MAX);
        CHECK(wait_for_next() == cases[i].least_s * S * 11 / 10);
    }
    finish();
}

static void test_with_nothing_in_hand_it_is_asked_soon(void)
{
    static const uint64_t waits_s[] = {1, 2, 4, 8, 16, 30, 30};

    start("dns:x:80");
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        CHECK(!answer_failed(0));
        CHECK(wait_for_next() == waits_s[i] * S);
    }
    CHECK(!answer_none(UINT32_MAX));
    CHECK(wait_for_next() == 45 * S);
    CHECK(answer(found("10.0.0.1:80", 0), 0)); /* it exists now */
    CHECK(wait_for_next() == 27 * S);
    CHECK(!answer_failed(0));
    CHECK(wait_for_next() == 27 * S); /* no hurry: there is a list */
    finish();
}

static void test_a_lost_server_hastens_it(void)
{
    start("dns:x:80");
    uint32_t id = d.names[0].id;
    answer(found("10.0.0.1:80", 0), 0);
    now += S / 2;
    jrc_discovery_hasten(&d, id, now);
    CHECK(wait_for_next() == S / 2); /* dns_min since the last one */
    answer(found("10.0.0.1:80", 0), 0);
    now += 3 * S;
    jrc_discovery_hasten(&d, id, now);
    jrc_discovery_hasten(&d, id, now);
    CHECK(wait_for_next() == 0);
    struct jrc_name *name = jrc_discovery_due(&d, now);
    jrc_discovery_hasten(&d, id, now); /* asking already */
    struct jrc_answer a = found("10.0.0.1:80", 0);
    now += 2 * S; /* a slow answer */
    jrc_discovery_answer(&d, name, &a, now, 0);
    CHECK(wait_for_next() == 27 * S);
    jrc_discovery_hasten(&d, 99, now);
    jrc_discovery_hasten(&d, 0, now);
    finish();
}

static void test_calls_wait_for_a_first_lookup_and_not_for_ever(void)
{
    start("dns:x:80");
    struct jrc_name *name = jrc_discovery_due(&d, now);
    CHECK(jrc_discovery_is_pending(&d, now + S - 1));
    CHECK(jrc_discovery_next_us(&d, now) == now + S);
    now += S;
    CHECK(!jrc_discovery_is_pending(&d, now));
    CHECK(jrc_discovery_next_us(&d, now) == JRC_NEVER);
    struct jrc_answer a = found("10.0.0.1:80", 0);
    CHECK(jrc_discovery_answer(&d, name, &a, now, 0)); /* better late */
    finish();
}

/* ---- what is believed ---------------------------------------------------- */

static void test_no_outage_removes_a_server(void)
{
    start("dns:x:80");
    answer(found("10.0.0.1:80", 0), 0);
    for (int i = 0; i < 1000; i++) {
        wait_for_next();
        CHECK(!answer_failed((uint32_t)i * 4000000));
    }
    check_list("x/10.0.0.1:80=0");
    CHECK(d.names[0].failed == 1000 && d.names[0].lookups == 1001);
    CHECK(d.names[0].reason == -8);
    wait_for_next();
    CHECK(!answer(found("10.0.0.1:80", 0), 0) && d.names[0].reason == 0);
    finish();
}

static void test_nothing_is_believed_the_third_time(void)
{
    start("dns:x:80");
    answer(found("10.0.0.1:80", 0), 0);
    wait_for_next();
    CHECK(!answer_none(0));
    wait_for_next();
    CHECK(!answer_none(0));
    check_list("x/10.0.0.1:80=0");
    wait_for_next();
    CHECK(answer_none(0)); /* 54 s after the first one */
    check_list("");
    wait_for_next();
    CHECK(!answer_none(0)); /* nothing is left to remove */
    finish();
}

static void test_not_within_a_moment(void)
{
    start("dns:x:80");
    answer(found("10.0.0.1:80", 0), 0);
    uint64_t first = now + 3 * S;
    for (now = first; now < first + 30 * S; now += S) {
        jrc_discovery_hasten(&d, d.names[0].id, now);
        CHECK(!answer_none(0));
    }
    jrc_discovery_hasten(&d, d.names[0].id, now);
    CHECK(answer_none(0));
    finish();
}

static void test_not_with_another_answer_in_between(void)
{
    start("dns:x:80");
    answer(found("10.0.0.1:80", 0), 0);
    for (int i = 0; i < 30; i++) {
        wait_for_next();
        CHECK(!answer_none(0));
        wait_for_next();
        CHECK(!answer_none(0));
        wait_for_next();
        if (i % 2 == 0)
            CHECK(!answer_failed(0));
        else
            CHECK(!answer(found("10.0.0.1:80", 0), 0));
    }
    check_list("x/10.0.0.1:80=0");
    finish();
}

static void test_closed_is_believed_at_once(void)
{
    start("srv:_a._tcp.x");
    answer(found("a:1 b:1", 60), 0);
    wait_for_next();
    CHECK(
        answer((struct jrc_answer){.kind = JRC_ANSWER_CLOSED, .ttl_s = 9}, 0));
    check_list("");
    finish();
}

/* ---- other lists --------------------------------------------------------- */

static void test_a_name_that_stays_keeps_its_servers(void)
{
    start("dns:x:80 dns:y:80");
    answer(found("10.0.0.1:80", 0), 0);
    answer(found("10.0.0.2:80", 0), 0);
    uint32_t id = d.names[1].id;
    set("c:1 dns:Y:80,5 dns:z:80");
    check_list("c:1=1 Y/10.0.0.2:80=0");
    CHECK(jrc_discovery_find(&d, id) == &d.names[0]);
    CHECK(d.names[1].id != id && jrc_discovery_is_pending(&d, now));
    answer(found("10.0.0.3:80", 0), 0);
    check_list("c:1=1 Y/10.0.0.2:80=0 z/10.0.0.3:80=1");
    set("c:1");
    check_list("c:1=0");
    CHECK(jrc_discovery_next_us(&d, now) == JRC_NEVER);
    set("dns:y:80"); /* and is forgotten when it goes */
    CHECK(d.names[0].id > 3 && d.names[0].lookups == 0);
    finish();
}

static void test_an_answer_for_a_name_that_is_gone(void)
{
    start("dns:x:80");
    uint32_t id = jrc_discovery_due(&d, now)->id;
    set("dns:z:80");
    CHECK(jrc_discovery_find(&d, id) == NULL);
    set("dns:x:80"); /* it is back, with a lookup of its own */
    CHECK(jrc_discovery_find(&d, id) == NULL);
    CHECK(jrc_discovery_due(&d, now) != NULL);
    finish();
}

/* ---- more than there is room for ----------------------------------------- */

static void fill(int count)
{
    struct jrc_answer a = {.kind = JRC_ANSWER_FOUND};
    char host[20];

    for (int i = 1; i <= count; i++) {
        sprintf(host, "10.0.%d.%d", i / 256, i % 256);
        CHECK(jrc_answer_add(&a, host, 80, 0, 0));
    }
    answer(a, 0);
}

/* Every server gets its share of clients, and a change of the list moves few.
 */
static void test_the_list_is_cut(void)
{
    enum { SERVERS = 40, CLIENTS = 2000 };
    static unsigned chosen[SERVERS + 2];
    struct jrc_server_list list;
    size_t left_out;

    start("c:1 e:1 dns:x:80");
    fill(SERVERS);
    for (d.seed = 0; d.seed < CLIENTS; d.seed++) {
        CHECK(jrc_discovery_list(&d, &list, &left_out));
        CHECK(list.count == 8 && left_out == SERVERS - 6);
        CHECK(strcmp(list.entries[0].host, "c") == 0);
        CHECK(strcmp(list.entries[1].host, "e") == 0);
        for (size_t i = 2; i < list.count; i++)
            chosen[atoi(strrchr(list.entries[i].host, '.') + 1)]++;
        jrc_server_list_clear(&list);
    }
    for (int i = 1; i <= SERVERS; i++) /* 300 of 2000, and 5 sigma */
        CHECK(chosen[i] > 220 && chosen[i] < 380);

    d.seed = 4711;
    char before[2000];
    strcpy(before, list_text());
    wait_for_next();
    fill(SERVERS - 1); /* one fewer: at most one is another */
    const char *after = list_text();
    int kept = 0;
    for (char *word = strtok(before, " "); word != NULL;
         word = strtok(NULL, " "))
        kept += strstr(after, word) != NULL;
    CHECK(kept >= 7);
    finish();
}

static void test_no_room_for_what_was_written_down(void)
{
    start("a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 dns:x:80");
    fill(3);
    check_list("a:1=0 b:1=0 c:1=0 d:1=0 e:1=0 f:1=0 g:1=0 h:1=0");
    finish();
}

static void test_no_memory(void)
{
    struct jrc_server_list list, more;
    size_t left_out;
    unsigned failures = 0;

    start("a:1 dns:x:80");
    fill(20);
    for (unsigned n = 1; n < 100 && fault_has_memory(); n++) {
        fault_arm(FAULT_MEMORY, n, false);
        bool is_there = jrc_discovery_list(&d, &list, &left_out);
        fault_disarm();
        failures += !is_there;
        CHECK(is_there ? list.count == 8 : list.entries == NULL);
        jrc_server_list_clear(&list);
    }
    CHECK(!fault_has_memory() || (failures > 20 && failures < 90));
    CHECK(jrc_servers_parse(&more, "dns:y:80", NULL, 0) == 0);
    if (fault_has_memory()) {
        fault_arm(FAULT_MEMORY, 1, false);
        CHECK(!jrc_discovery_set(&d, &more, now));
        fault_disarm();
        CHECK(more.count == 1 && d.count == 1 && d.names[0].answer.count == 20);
    }
    jrc_server_list_clear(&more);
    finish();
}

int main(void)
{
    test_each_address_is_a_server();
    test_groups_of_both_priorities();
    test_a_server_twice_has_its_best_place();
    test_the_same_answer_changes_nothing();
    test_refresh_with_jitter();
    test_srv_follows_its_ttl();
    test_with_nothing_in_hand_it_is_asked_soon();
    test_a_lost_server_hastens_it();
    test_calls_wait_for_a_first_lookup_and_not_for_ever();
    test_no_outage_removes_a_server();
    test_nothing_is_believed_the_third_time();
    test_not_within_a_moment();
    test_not_with_another_answer_in_between();
    test_closed_is_believed_at_once();
    test_a_name_that_stays_keeps_its_servers();
    test_an_answer_for_a_name_that_is_gone();
    test_the_list_is_cut();
    test_no_room_for_what_was_written_down();
    test_no_memory();
    return check_done();
}
