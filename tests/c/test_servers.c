/* The policy of who gets the next call: the clock and the dice are arguments,
 * so all of this is arithmetic. */
#include "check.h"
#include "engine/servers.h"

#define BASE 1000000
#define CAP 10000000
#define MOST UINT32_MAX /* the dice's largest throw */

static bool parse(struct jrc_servers *s, const char *text)
{
    char why[200];

    return jrc_servers_parse(s, text, why, sizeof why);
}

static void start(struct jrc_servers *s, const char *text, int32_t attempts)
{
    CHECK(parse(s, text));
    jrc_servers_start(s, BASE, CAP, attempts, 0);
}

static int32_t pick(struct jrc_servers *s, uint64_t now_us)
{
    int32_t sole = jrc_servers_sole(s, now_us);
    bool trial;
    int32_t picked = jrc_servers_pick(s, now_us, now_us, &trial);

    CHECK(sole == (s->ready_count > 1 || trial ? JRC_NO_SERVER : picked));
    return picked;
}

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
        jrc_servers_up(&s, i, 0);
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
        jrc_servers_up(&s, i, 0);
    jrc_servers_down(&s, 0, 0, MOST);
    for (int n = 0; n < 4; n++)
        CHECK(pick(&s, 0) == 1);
    jrc_servers_down(&s, 1, 0, MOST);
    CHECK(pick(&s, 0) == 2);
    jrc_servers_attempt(&s, 1, 1);
    CHECK(pick(&s, 1) == 2);
    jrc_servers_up(&s, 1, 2);
    CHECK(pick(&s, 2) == 1);
    jrc_servers_down(&s, 1, 3, MOST);
    jrc_servers_down(&s, 2, 3, MOST);
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
    jrc_servers_up(&s, 1, 10);
    CHECK(pick(&s, 10) == JRC_SERVER_PENDING);
    CHECK(pick(&s, JRC_FIRST_CHOICE_US - 1) == JRC_SERVER_PENDING);
    CHECK(pick(&s, JRC_FIRST_CHOICE_US) == 1);
    jrc_servers_up(&s, 0, JRC_FIRST_CHOICE_US);
    CHECK(pick(&s, JRC_FIRST_CHOICE_US) == 0);
    jrc_servers_clear(&s);

    start(&s, "a:1,2 b:1,1", -1); /* a failed first attempt ends the wait */
    jrc_servers_up(&s, 1, 10);
    jrc_servers_down(&s, 0, 20, MOST);
    CHECK(pick(&s, 20) == 1);
    jrc_servers_clear(&s);

    start(&s, "a:1 b:1", -1); /* an equal is not waited for */
    jrc_servers_up(&s, 0, 10);
    CHECK(pick(&s, 10) == 0);
    jrc_servers_clear(&s);

    start(&s, "a:1 b:1", -1); /* down is only known when all were tried */
    jrc_servers_down(&s, 0, 20, MOST);
    CHECK(pick(&s, 20) == JRC_SERVER_PENDING);
    jrc_servers_down(&s, 1, 20, MOST);
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
        jrc_servers_down(&s, 0, 5, 0);
        CHECK(s.list[0].next_us == 5);
        s.list[0] = was;
        jrc_servers_down(&s, 0, 5, MOST / 2);
        uint64_t half = bounds[i] * BASE / 2;
        CHECK(s.list[0].next_us - 5 >= half - 1 &&
              s.list[0].next_us <= half + 6);
        s.list[0] = was;
        jrc_servers_down(&s, 0, 5, MOST);
        CHECK(s.list[0].next_us == 5 + bounds[i] * BASE);
    }
    jrc_servers_up(&s, 0, 6); /* a connection alone resets nothing */
    jrc_servers_down(&s, 0, 7, MOST);
    CHECK(s.list[0].next_us == 7 + CAP);
    jrc_servers_up(&s, 0, 8);
    jrc_servers_answered(&s, 0, 9); /* a response does */
    jrc_servers_down(&s, 0, 10, MOST);
    CHECK(s.list[0].next_us == 10 + BASE);
    jrc_servers_clear(&s);
}

/* The options allow bounds of 24 days: the product with the dice is larger
 * than 64 bits. */
static void test_backoff_of_weeks_keeps_its_bound(void)
{
    const uint64_t weeks = (uint64_t)INT32_MAX * 1000;
    struct jrc_servers s;

    CHECK(parse(&s, "a:1"));
    jrc_servers_start(&s, weeks, weeks, -1, 0);
    jrc_servers_down(&s, 0, 0, MOST);
    CHECK(s.list[0].next_us == weeks);
    jrc_servers_down(&s, 0, 0, MOST / 2);
    CHECK(s.list[0].next_us / 1000 == weeks / 2000);
    jrc_servers_clear(&s);
}

static void test_attempts_are_bounded(void)
{
    struct jrc_servers s;

    start(&s, "a:1", 2);
    for (int n = 0; n < 2; n++) {
        jrc_servers_down(&s, 0, 0, MOST);
        CHECK(jrc_servers_hopeful(&s) && s.list[0].next_us != JRC_NEVER);
    }
    jrc_servers_down(&s, 0, 0, MOST);
    CHECK(!jrc_servers_hopeful(&s) && s.list[0].next_us == JRC_NEVER);
    jrc_servers_clear(&s);

    start(&s, "a:1", 0);
    jrc_servers_up(&s, 0, 0);
    jrc_servers_answered(&s, 0, 0);
    jrc_servers_down(&s, 0, 0, MOST);
    CHECK(!jrc_servers_hopeful(&s));
    jrc_servers_clear(&s);
}

/* ---- suspects ------------------------------------------------------------ */

static bool suspect(struct jrc_servers *s, size_t i, uint64_t now_us)
{
    bool became = false;

    for (int n = 0; n < JRC_SUSPECT_AFTER; n++) {
        CHECK(!became);
        became = jrc_servers_timed_out(s, i, now_us, MOST);
    }
    return became;
}

static void test_timeouts_in_a_row_make_a_suspect(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1 b:1", -1);
    jrc_servers_up(&s, 0, 0);
    jrc_servers_up(&s, 1, 0);
    for (int n = 0; n < 20; n++) { /* with responses between: never */
        CHECK(!jrc_servers_timed_out(&s, 0, 0, MOST));
        if (n % 4 == 3)
            CHECK(!jrc_servers_answered(&s, 0, 0));
    }
    CHECK(suspect(&s, 0, 0));
    CHECK(s.list[0].state == JRC_SERVER_SUSPECT);
    for (int n = 0; n < 4; n++)
        CHECK(pick(&s, BASE - 1) == 1);
    /* One call per cap tries it. */
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && trial);
    for (int n = 0; n < 4; n++)
        CHECK(jrc_servers_pick(&s, BASE + CAP - 1, BASE + CAP - 1, &trial) ==
                  1 &&
              !trial);
    CHECK(jrc_servers_pick(&s, BASE + CAP, BASE + CAP, &trial) == 0 && trial);
    CHECK(jrc_servers_answered(&s, 0, BASE + CAP));
    CHECK(!jrc_servers_answered(&s, 0, BASE + CAP));
    unsigned hits[2] = {0};
    for (int n = 0; n < 10; n++)
        hits[pick(&s, BASE + CAP)]++;
    CHECK(hits[0] == 5 && hits[1] == 5);
    jrc_servers_clear(&s);
}

static void test_the_last_server_is_never_ejected(void)
{
    struct jrc_servers s;
    unsigned hits[2] = {0};

    start(&s, "a:1,2 b:1,2", -1);
    jrc_servers_up(&s, 0, 0);
    jrc_servers_up(&s, 1, 0);
    suspect(&s, 0, 0);
    suspect(&s, 1, 0);
    for (int n = 0; n < 100; n++)
        hits[pick(&s, 1)]++;
    CHECK(hits[0] == 50 && hits[1] == 50);
    jrc_servers_clear(&s);
}

static void test_what_a_start_says(void)
{
    struct jrc_servers s;

    CHECK(parse(&s, "a:1 b:2"));
    jrc_servers_start(&s, BASE, CAP, -1, 7);
    for (size_t i = 0; i < s.count; i++)
        CHECK(s.list[i].since_us == 7 && s.list[i].next_us == 7);
    jrc_servers_clear(&s);
}

/* A suspect of a worse group is not tried while a better group serves. */
static void test_no_trial_below_a_better_group(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,1", -1);
    jrc_servers_up(&s, 0, 0);
    jrc_servers_up(&s, 1, 0);
    suspect(&s, 1, 0);
    for (uint64_t t = 0; t < 5ULL * CAP; t += CAP / 2)
        CHECK(jrc_servers_pick(&s, t, t, &trial) == 0 && !trial);
    /* The other way round the better one is. */
    suspect(&s, 0, 0);
    jrc_servers_answered(&s, 1, 0);
    CHECK(jrc_servers_pick(&s, 0, 0, &trial) == 1 && !trial);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && trial);
    jrc_servers_clear(&s);
}

/* However long a trial takes, a cap's time is for the others. */
static void test_a_long_trial_is_followed_by_others(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1 b:1", -1);
    jrc_servers_up(&s, 0, 0);
    jrc_servers_up(&s, 1, 0);
    suspect(&s, 0, 0);
    CHECK(jrc_servers_pick(&s, BASE, 3 * CAP, &trial) == 0 && trial);
    for (uint64_t t = BASE; t < 4 * CAP; t += BASE)
        CHECK(jrc_servers_pick(&s, t, t + 3 * CAP, &trial) == 1 && !trial);
    /* A call that should have ended already is no shorter than none. */
    CHECK(jrc_servers_pick(&s, 4 * CAP, 0, &trial) == 0 && trial);
    CHECK(jrc_servers_pick(&s, 5 * CAP - 1, 0, &trial) == 1 && !trial);
    CHECK(jrc_servers_pick(&s, 5 * CAP, 0, &trial) == 0 && trial);
    jrc_servers_clear(&s);
}

/* With nobody up any suspect may be the one that is well again. */
static void test_trials_below_when_nobody_is_up(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,1", -1);
    jrc_servers_up(&s, 0, 0);
    jrc_servers_up(&s, 1, 0);
    suspect(&s, 0, 0);
    suspect(&s, 1, 0);
    CHECK(s.suspects == 2 && s.trial_us == BASE);
    CHECK(jrc_servers_pick(&s, BASE - 1, BASE - 1, &trial) == 0 && !trial);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && trial);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 1 && trial);
    CHECK(s.trial_us == BASE + CAP);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && !trial);
    CHECK(jrc_servers_answered(&s, 1, BASE));
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 1 && !trial);
    CHECK(jrc_servers_answered(&s, 0, BASE));
    CHECK(s.suspects == 0 && s.trial_us == JRC_NEVER);
    jrc_servers_clear(&s);
}

/* A new connection is not to blame for what the old one left unanswered. */
static void test_a_connection_begins_without_timeouts(void)
{
    struct jrc_servers s;

    start(&s, "a:1", -1);
    jrc_servers_up(&s, 0, 0);
    for (int n = 1; n < JRC_SUSPECT_AFTER; n++)
        CHECK(!jrc_servers_timed_out(&s, 0, 0, MOST));
    jrc_servers_down(&s, 0, 0, MOST);
    jrc_servers_up(&s, 0, 1);
    CHECK(suspect(&s, 0, 1));
    jrc_servers_clear(&s);
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
    test_timeouts_in_a_row_make_a_suspect();
    test_the_last_server_is_never_ejected();
    test_what_a_start_says();
    test_no_trial_below_a_better_group();
    test_a_long_trial_is_followed_by_others();
    test_trials_below_when_nobody_is_up();
    test_a_connection_begins_without_timeouts();
    return check_done();
}
