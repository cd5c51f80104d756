/* Names: when they are looked up, and which answers are believed. */
#include "discovery_check.h"

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

static void test_a_name_without_servers_is_looked_up_soon(void)
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

static void test_a_lost_server_hastens_the_lookup(void)
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

static void test_calls_wait_for_a_first_lookup_but_not_for_ever(void)
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

static void test_a_denial_is_believed_the_third_time(void)
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

static void test_denials_within_a_moment_are_not_believed(void)
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

static void test_denials_that_are_interrupted_are_not_believed(void)
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

static void test_a_closed_service_is_believed_at_once(void)
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

int main(void)
{
    test_refresh_with_jitter();
    test_srv_follows_its_ttl();
    test_a_name_without_servers_is_looked_up_soon();
    test_a_lost_server_hastens_the_lookup();
    test_calls_wait_for_a_first_lookup_but_not_for_ever();
    test_no_outage_removes_a_server();
    test_a_denial_is_believed_the_third_time();
    test_denials_within_a_moment_are_not_believed();
    test_denials_that_are_interrupted_are_not_believed();
    test_a_closed_service_is_believed_at_once();
    test_a_name_that_stays_keeps_its_servers();
    test_an_answer_for_a_name_that_is_gone();
    return check_done();
}
