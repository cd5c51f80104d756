/* The policy: which server gets the next call, and when to try a server
 * again. */
#include "servers_check.h"

/* ---- rotation ------------------------------------------------------------ */

static void test_larger_priority_is_better(void)
{
    static const uint32_t groups[] = {1, 0, 3, 1, 2};
    struct jrc_servers s;

    start(&s, "a:1,5 b:1,9 c:1,-7 d:1,5 e:1", -1);
    CHECK(s.group_count == 4);
    for (size_t i = 0; i < 5; i++)
        CHECK(s.list[i].group == groups[i]);
    jrc_servers_clear(&s);
}

static void test_round_robin_differs_by_one(void)
{
    struct jrc_servers s;
    unsigned hits[4] = {0};

    start(&s, "a:1,2 b:1,2 c:1,2 d:1,1", -1);
    for (size_t i = 0; i < 4; i++)
        come_up(&s, i, 0);
    for (unsigned n = 0; n < 100; n++) {
        hits[pick(&s, 0)]++;
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 3; j++)
                CHECK(hits[i] <= hits[j] + 1);
    }
    CHECK(hits[3] == 0);
    jrc_servers_clear(&s);
}

static void test_failover_and_back(void)
{
    struct jrc_servers s;

    start(&s, "a:1,2 b:1,2 c:1,1", -1);
    for (size_t i = 0; i < 3; i++)
        come_up(&s, i, 0);
    go_down(&s, 0, 0, MOST);
    for (int n = 0; n < 4; n++)
        CHECK(pick(&s, 0) == 1);
    go_down(&s, 1, 0, MOST);
    CHECK(pick(&s, 0) == 2);
    jrc_servers_attempt(&s, 1, 1);
    CHECK(pick(&s, 1) == 2);
    come_up(&s, 1, 2);
    CHECK(pick(&s, 2) == 1); /* one call, */
    CHECK(pick(&s, 2) == 2);
    CHECK(jrc_servers_answered(&s, 1, 2)); /* and when it is answered, all */
    for (int n = 0; n < 4; n++)
        CHECK(pick(&s, 2) == 1);
    go_down(&s, 1, 3, MOST);
    go_down(&s, 2, 3, MOST);
    CHECK(pick(&s, 3) == JRC_NO_SERVER);
    CHECK(jrc_servers_hopeful(&s));
    jrc_servers_clear(&s);
}

static void test_first_choice_is_waited_for(void)
{
    struct jrc_servers s;

    start(&s, "a:1,2 b:1,1", -1);
    CHECK(pick(&s, 0) == JRC_SERVER_PENDING);
    jrc_servers_attempt(&s, 0, 0);
    jrc_servers_attempt(&s, 1, 0);
    come_up(&s, 1, 10);
    CHECK(pick(&s, 10) == JRC_SERVER_PENDING);
    CHECK(pick(&s, JRC_FIRST_CHOICE_US - 1) == JRC_SERVER_PENDING);
    CHECK(pick(&s, JRC_FIRST_CHOICE_US) == 1);
    come_up(&s, 0, JRC_FIRST_CHOICE_US);
    CHECK(pick(&s, JRC_FIRST_CHOICE_US) == 0);
    jrc_servers_clear(&s);

    start(&s, "a:1,2 b:1,1", -1); /* a failed first attempt ends the wait */
    come_up(&s, 1, 10);
    go_down(&s, 0, 20, MOST);
    CHECK(pick(&s, 20) == 1);
    jrc_servers_clear(&s);

    start(&s, "a:1 b:1", -1); /* an equal is not waited for */
    come_up(&s, 0, 10);
    CHECK(pick(&s, 10) == 0);
    jrc_servers_clear(&s);

    start(&s, "a:1 b:1", -1); /* down is only known when all were tried */
    go_down(&s, 0, 20, MOST);
    CHECK(pick(&s, 20) == JRC_SERVER_PENDING);
    go_down(&s, 1, 20, MOST);
    CHECK(pick(&s, 20) == JRC_NO_SERVER);
    jrc_servers_clear(&s);
}

/* ---- backoff ------------------------------------------------------------- */

static void test_backoff_bounds(void)
{
    static const uint64_t bounds[] = {1, 2, 4, 8, 10, 10, 10};
    struct jrc_servers s;

    start(&s, "a:1", -1);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct jrc_server was = s.list[0];
        go_down(&s, 0, 5, 0);
        CHECK(s.list[0].next_us == 5);
        s.list[0] = was;
        go_down(&s, 0, 5, MOST / 2);
        uint64_t half = bounds[i] * BASE / 2;
        CHECK(s.list[0].next_us - 5 >= half - 1 &&
              s.list[0].next_us <= half + 6);
        s.list[0] = was;
        go_down(&s, 0, 5, MOST);
        CHECK(s.list[0].next_us == 5 + bounds[i] * BASE);
    }
    come_up(&s, 0, 6); /* a connection alone resets nothing */
    go_down(&s, 0, 7, MOST);
    CHECK(s.list[0].next_us == 7 + CAP);
    come_up(&s, 0, 8);
    jrc_servers_answered(&s, 0, 9); /* a response does */
    go_down(&s, 0, 10, MOST);
    CHECK(s.list[0].next_us == 10 + BASE);
    jrc_servers_clear(&s);
}

/* The options allow bounds of 24 days: the product with the dice is larger
 * than 64 bits. */
static void test_backoff_of_weeks_keeps_its_bound(void)
{
    const uint64_t weeks = (uint64_t)INT32_MAX * 1000;
    struct jrc_servers s;

    CHECK(table_of(&s, "a:1", 1));
    jrc_servers_start(&s, weeks, weeks, weeks, -1, 0);
    go_down(&s, 0, 0, MOST);
    CHECK(s.list[0].next_us == weeks);
    go_down(&s, 0, 0, MOST / 2);
    CHECK(s.list[0].next_us / 1000 == weeks / 2000);
    jrc_servers_clear(&s);
}

static void test_attempts_are_bounded(void)
{
    struct jrc_servers s;

    start(&s, "a:1", 2);
    for (int n = 0; n < 2; n++) {
        go_down(&s, 0, 0, MOST);
        CHECK(jrc_servers_hopeful(&s) && s.list[0].next_us != JRC_NEVER);
    }
    go_down(&s, 0, 0, MOST);
    CHECK(!jrc_servers_hopeful(&s) && s.list[0].next_us == JRC_NEVER);
    jrc_servers_clear(&s);

    start(&s, "a:1", 0);
    come_up(&s, 0, 0);
    jrc_servers_answered(&s, 0, 0);
    go_down(&s, 0, 0, MOST);
    CHECK(!jrc_servers_hopeful(&s));
    jrc_servers_clear(&s);
}

static void test_what_a_start_says(void)
{
    struct jrc_servers s;

    CHECK(table_of(&s, "a:1 b:2", 2));
    jrc_servers_start(&s, BASE, CAP, BASE, -1, 7);
    for (size_t i = 0; i < s.count; i++)
        CHECK(s.list[i].since_us == 7 && s.list[i].next_us == 7);
    jrc_servers_clear(&s);
}

/* ---- attempts that calls ask for ----------------------------------------- */

static void test_a_server_that_calls_ask_for_is_tried_within_two_seconds(void)
{
    struct jrc_servers s;
    uint64_t now_us = BASE;

    start(&s, "a:1", -1);
    CHECK(jrc_servers_ask(&s, 0, 0, 0) == 0); /* it is due */
    for (int n = 0; n < 20; n++) {
        jrc_servers_attempt(&s, 0, 0);
        go_down(&s, 0, 0, MOST);
    }
    CHECK(s.list[0].next_us == CAP);
    CHECK(jrc_servers_ask(&s, 0, now_us, MOST / 4) == now_us + 499999);
    CHECK(jrc_servers_ask(&s, 0, now_us + 9, MOST) == now_us + 499999);
    now_us += 499999;
    for (int n = 0; n < 20; n++) { /* once in two seconds, however many ask */
        jrc_servers_attempt(&s, 0, now_us);
        CHECK(jrc_servers_ask(&s, 0, now_us, 0) == JRC_NEVER);
        go_down(&s, 0, now_us + 1, MOST);
        for (uint64_t t = 2; t < JRC_ASKED_US; t += 12345)
            CHECK(jrc_servers_ask(&s, 0, now_us + t, 77) ==
                  now_us + JRC_ASKED_US);
        now_us += JRC_ASKED_US;
    }
    /* A regular attempt in between does not delay that one. */
    jrc_servers_attempt(&s, 0, now_us);
    go_down(&s, 0, now_us, MOST);
    jrc_servers_ask(&s, 0, now_us + 5, 0);
    jrc_servers_attempt(&s, 0, now_us + 6);
    go_down(&s, 0, now_us + 7, MOST);
    CHECK(s.list[0].next_us == now_us + JRC_ASKED_US);
    jrc_servers_clear(&s);

    start(&s, "a:1", 0); /* abandoned is abandoned */
    go_down(&s, 0, 0, MOST);
    CHECK(jrc_servers_ask(&s, 0, BASE, 0) == JRC_NEVER);
    CHECK(s.list[0].next_us == JRC_NEVER);
    jrc_servers_clear(&s);
}

/* A thousand clients lose their server at the same time, and call all the time:
 * no tenth of a second has more attempts than the first one may have. */
static void test_a_thousand_clients_that_ask_cause_no_stampede(void)
{
    enum { CLIENTS = 1000, TENTH = 100000, TENTHS = 300 };
    static struct jrc_servers list[CLIENTS];
    static unsigned attempts[TENTHS + 1];
    uint64_t random = 88172645463325252ULL;
    unsigned most = 0, all = 0;

    for (size_t i = 0; i < CLIENTS; i++) {
        struct jrc_servers *s = &list[i];
        start(s, "a:1", -1);
        for (uint64_t t = 0; t < (uint64_t)TENTHS * TENTH; t += 5000) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            uint32_t dice = (uint32_t)(random >> 16);
            if (t == 0)
                go_down(s, 0, t, dice);
            jrc_servers_ask(s, 0, t, dice * 2654435761U);
            if (s->list[0].next_us > t)
                continue;
            attempts[t / TENTH]++;
            jrc_servers_attempt(s, 0, t);
            go_down(s, 0, t, dice);
        }
        jrc_servers_clear(s);
    }
    for (int n = 0; n < TENTHS; n++) {
        most = attempts[n] > most ? attempts[n] : most;
        all += n >= 100 ? attempts[n] : 0;
    }
    printf("1000 that ask: at most %u in a tenth of a second, %u/s later\n",
           most, all / 20);
    CHECK(most < 4 * CLIENTS / 10); /* as P12's test has it */
    CHECK(all / 20 < 0.8 * CLIENTS);
}

int main(void)
{
    test_larger_priority_is_better();
    test_round_robin_differs_by_one();
    test_failover_and_back();
    test_first_choice_is_waited_for();
    test_backoff_bounds();
    test_backoff_of_weeks_keeps_its_bound();
    test_attempts_are_bounded();
    test_what_a_start_says();
    test_a_server_that_calls_ask_for_is_tried_within_two_seconds();
    test_a_thousand_clients_that_ask_cause_no_stampede();
    return check_done();
}
