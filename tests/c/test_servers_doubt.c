/* The policy with servers that are in doubt: suspects, and servers that failed
 * and have not answered since. */
#include "servers_check.h"

/* ---- suspects ------------------------------------------------------------ */

static bool suspect(struct jrc_servers *s, size_t i, uint64_t now_us)
{
    bool became = false;

    for (int n = 0; n < JRC_SUSPECT_AFTER; n++) {
        CHECK(!became);
        became = jrc_servers_timed_out(s, i, now_us, false, MOST);
    }
    return became;
}

static void test_timeouts_in_a_row_make_a_suspect(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1 b:1", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    for (int n = 0; n < 20; n++) { /* with responses between: never */
        CHECK(!jrc_servers_timed_out(&s, 0, 0, false, MOST));
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
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    suspect(&s, 0, 0);
    suspect(&s, 1, 0);
    for (int n = 0; n < 100; n++)
        hits[pick(&s, 1)]++;
    CHECK(hits[0] == 50 && hits[1] == 50);
    jrc_servers_clear(&s);
}

/* A suspect of a worse group is not tried while a better group serves. */
static void test_no_trial_below_a_better_group(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,1", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    suspect(&s, 1, 0);
    for (uint64_t t = 0; t < 5ULL * CAP; t += CAP / 2)
        CHECK(jrc_servers_pick(&s, t, t, &trial) == 0 && !trial);
    /* The other way round, the better one is tried. */
    suspect(&s, 0, 0);
    jrc_servers_answered(&s, 1, 0);
    CHECK(jrc_servers_pick(&s, 0, 0, &trial) == 1 && !trial);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && trial);
    jrc_servers_clear(&s);
}

/* However long a trial takes, the others get the calls for the time of one cap;
 * but a trial that never ends does not keep the server out for ever. */
static void test_a_long_trial_is_followed_by_others(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1 b:1", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    suspect(&s, 0, 0);
    CHECK(jrc_servers_pick(&s, BASE, JRC_NEVER, &trial) == 0 && trial);
    for (uint64_t t = BASE; t < BASE + 2 * CAP; t += BASE)
        CHECK(jrc_servers_pick(&s, t, t + 3 * CAP, &trial) == 1 && !trial);
    CHECK(jrc_servers_pick(&s, BASE + 2 * CAP, JRC_NEVER, &trial) == 0 &&
          trial);
    /* Whenever one ends, that time begins. */
    jrc_servers_tried(&s, 0, 4 * CAP);
    CHECK(jrc_servers_pick(&s, 5 * CAP - 1, 0, &trial) == 1 && !trial);
    /* A call that should have ended already is not shorter than none. */
    CHECK(jrc_servers_pick(&s, 5 * CAP, 0, &trial) == 0 && trial);
    CHECK(jrc_servers_pick(&s, 6 * CAP - 1, 0, &trial) == 1 && !trial);
    CHECK(jrc_servers_pick(&s, 6 * CAP, 0, NULL) == 1); /* not this call */
    CHECK(jrc_servers_pick(&s, 6 * CAP, 0, &trial) == 0 && trial);
    jrc_servers_clear(&s);
}

/* With no server up, any suspect may be the one that has recovered. */
static void test_trials_below_when_no_server_is_up(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,1", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    suspect(&s, 0, 0);
    suspect(&s, 1, 0);
    CHECK(s.doubted == 2 && s.trial_us == BASE);
    CHECK(jrc_servers_pick(&s, BASE - 1, BASE - 1, &trial) == 0 && !trial);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && trial);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 1 && trial);
    CHECK(s.trial_us == BASE + CAP);
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 0 && !trial);
    CHECK(jrc_servers_answered(&s, 1, BASE));
    CHECK(jrc_servers_pick(&s, BASE, BASE, &trial) == 1 && !trial);
    CHECK(jrc_servers_answered(&s, 0, BASE));
    CHECK(s.doubted == 0 && s.trial_us == JRC_NEVER);
    jrc_servers_clear(&s);
}

/* A new connection is not to blame for what the old one left unanswered. */
static void test_a_connection_begins_without_timeouts(void)
{
    struct jrc_servers s;

    start(&s, "a:1", -1);
    come_up(&s, 0, 0);
    for (int n = 1; n < JRC_SUSPECT_AFTER; n++)
        CHECK(!jrc_servers_timed_out(&s, 0, 0, false, MOST));
    go_down(&s, 0, 0, MOST);
    come_up(&s, 0, 1);
    CHECK(suspect(&s, 0, 1));
    jrc_servers_clear(&s);
}

/* ---- proof --------------------------------------------------------------- */

/* A server that failed and has not answered since gets one call, until it
 * answers. */
static void test_a_server_that_failed_proves_itself_first(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,1", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    CHECK(s.list[0].state == JRC_SERVER_UP);
    for (uint64_t t = 10; t < 15; t++) { /* accepts, and ends each */
        go_down(&s, 0, t, MOST);
        come_up(&s, 0, t);
        CHECK(s.list[0].state == JRC_SERVER_PROVING && s.doubted == 1);
        CHECK(jrc_servers_pick(&s, t, t + BASE, &trial) == 0 && trial);
        for (int n = 0; n < 4; n++)
            CHECK(jrc_servers_pick(&s, t, t + BASE, &trial) == 1 && !trial);
    }
    CHECK(jrc_servers_answered(&s, 0, 20));
    CHECK(s.list[0].state == JRC_SERVER_UP && s.doubted == 0);
    CHECK(pick(&s, 20) == 0);
    jrc_servers_clear(&s);
}

/* With no other server up, it is used in full, and before any suspect. */
static void test_unproven_servers_are_better_than_none(void)
{
    struct jrc_servers s;
    bool trial;

    start(&s, "a:1,2 b:1,2 c:1,3", -1);
    for (size_t i = 0; i < 3; i++)
        come_up(&s, i, 0);
    suspect(&s, 2, 0);
    s.list[2].trial_us = JRC_NEVER - 1;
    for (size_t i = 0; i < 2; i++) {
        go_down(&s, i, 0, 0);
        come_up(&s, i, 0);
    }
    CHECK(jrc_servers_pick(&s, 0, 0, &trial) == 0 && trial);
    CHECK(jrc_servers_pick(&s, 0, 0, &trial) == 1 && trial);
    unsigned hits[3] = {0};
    for (int n = 0; n < 10; n++)
        hits[jrc_servers_pick(&s, 0, 0, &trial)] += !trial;
    CHECK(hits[0] == 5 && hits[1] == 5);
    CHECK(jrc_servers_answered(&s, 1, 0));
    for (int n = 0; n < 4; n++)
        CHECK(jrc_servers_pick(&s, 0, 0, &trial) == 1 && !trial);
    jrc_servers_clear(&s);
}

/* Its only call timed out: that is enough to doubt it. */
static void test_a_failed_trial_makes_a_suspect(void)
{
    struct jrc_servers s;

    start(&s, "a:1,2 b:1,1", -1);
    go_down(&s, 0, 0, MOST);
    come_up(&s, 0, 0);
    /* On its own, it is used in full, and judged like any other. */
    CHECK(!jrc_servers_timed_out(&s, 0, 0, true, MOST));
    come_up(&s, 1, 0);
    CHECK(!jrc_servers_timed_out(&s, 0, 0, false, MOST));
    jrc_servers_tried(&s, 0, 0);
    CHECK(jrc_servers_timed_out(&s, 0, 0, true, MOST));
    CHECK(s.list[0].state == JRC_SERVER_SUSPECT && s.trial_us == CAP);
    jrc_servers_clear(&s);
}

int main(void)
{
    test_timeouts_in_a_row_make_a_suspect();
    test_the_last_server_is_never_ejected();
    test_no_trial_below_a_better_group();
    test_a_long_trial_is_followed_by_others();
    test_trials_below_when_no_server_is_up();
    test_a_connection_begins_without_timeouts();
    test_a_server_that_failed_proves_itself_first();
    test_unproven_servers_are_better_than_none();
    test_a_failed_trial_makes_a_suspect();
    return check_done();
}
