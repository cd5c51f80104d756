/* The server list and the policy of who gets the next call: the clock and the
 * dice are arguments, so all of this is arithmetic. */
#include "fault_here.h"

#include "check.h"
#include "servers.h"

#include <stdlib.h>
#include <string.h>

#define BASE 1000000
#define CAP 10000000
#define MOST UINT32_MAX /* the dice's largest throw */

static char why[200];

/* An exactly sized copy of the text, so that ASan sees over-reads. */
static bool parse(struct jrc_servers *s, const char *text)
{
    char *copy = strdup(text);
    bool good = jrc_servers_parse(s, copy, why, sizeof why);

    free(copy);
    return good;
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

/* ---- the list ------------------------------------------------------------ */

static const struct {
    const char *text;
    size_t count, last_port;
    int32_t last_priority;
    const char *last_host;
} good[] = {
    {"a:1", 1, 1, 1, "a"},
    {" \ta:1,2\n", 1, 1, 2, "a"},
    {"a:1,2 b:65535,-3", 2, 65535, -3, "b"},
    {"a:1,2\r\n[::1]:9999,7", 2, 9999, 7, "::1"},
    {"[fe80::1%eth0]:80", 1, 80, 1, "fe80::1%eth0"},
    {"a:1,2147483647", 1, 1, INT32_MAX, "a"},
    {"a:1,-2147483647", 1, 1, -INT32_MAX, "a"},
    {"x-1_y.example:080,01", 1, 80, 1, "x-1_y.example"},
    {"a:1 a:1", 2, 1, 1, "a"},
};

static const struct {
    const char *text;
    size_t at;
    const char *rule;
} bad[] = {
    {"", 0, "a server is expected"},
    {"  ", 2, "a server is expected"},
    {":1", 0, "a host is expected"},
    {"a", 1, "':' and a port are expected"},
    {"a;1", 1, "':' and a port are expected"},
    {"a:", 2, "a port from 1 to 65535"},
    {"a:0", 2, "a port from 1 to 65535"},
    {"a:65536", 2, "a port from 1 to 65535"},
    {"a:-1", 2, "a port from 1 to 65535"},
    {"a:99999999999999999999", 2, "a port from 1 to 65535"},
    {"a:1,", 4, "a priority"},
    {"a:1,x", 4, "a priority"},
    {"a:1,2147483648", 4, "a priority"},
    {"a:1,--1", 4, "a priority"},
    {"a:1,1,1", 5, "',' or a space"},
    {"a:1x", 3, "',' or a space"},
    {"a:1 b", 5, "':' and a port are expected"},
    {"a:1 b:2,3;c:4", 9, "',' or a space"},
    {"[::1:9", 6, "']' is expected"},
    {"[]:9", 0, "a host is expected"},
    {"::1:9", 0, "a host is expected"},
    {"a\nb:1", 1, "':' and a port are expected"},
    {"h\xc3\xa4:1", 1, "':' and a port are expected"},
};

static void test_list(void)
{
    struct jrc_servers s;
    char place[32];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!CHECK(parse(&s, good[i].text))) {
            printf("%s: %s\n", good[i].text, why);
            continue;
        }
        const struct jrc_server *last = &s.list[s.count - 1];
        CHECK(s.count == good[i].count && last->port == good[i].last_port);
        CHECK(last->priority == good[i].last_priority);
        CHECK(strcmp(last->host, good[i].last_host) == 0);
        jrc_servers_clear(&s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!parse(&s, bad[i].text));
        snprintf(place, sizeof place, "at offset %zu:", bad[i].at);
        if (!CHECK(strstr(why, bad[i].rule) != NULL) ||
            !CHECK(strstr(why, place) != NULL))
            printf("%s: %s\n", bad[i].text, why);
        CHECK(s.list == NULL && s.count == 0);
    }
}

/* Every prefix of a good list, with every size of the place for complaints. */
static void test_list_prefixes(void)
{
    static const char text[] = "a:1,2 [::1]:65535,-3\tb.example:8";
    struct jrc_servers s;

    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = strndup(text, len);
        bool is_good = parse(&s, copy);
        if (is_good)
            jrc_servers_clear(&s);
        for (size_t room = 0; room < 80; room += 7) {
            char *place = malloc(room + (room == 0));
            CHECK(jrc_servers_parse(&s, copy, place, room) == is_good);
            CHECK(room == 0 || strlen(place) < room);
            jrc_servers_clear(&s);
            free(place);
        }
        free(copy);
    }
    char host[300];
    memset(host, 'h', sizeof host);
    strcpy(host + 253, ":1");
    CHECK(parse(&s, host));
    jrc_servers_clear(&s);
    strcpy(host + 254, ":1");
    host[253] = 'h';
    CHECK(!parse(&s, host) && strstr(why, "253") != NULL);
    CHECK(!parse(&s, "\x1b[31m:1") && strchr(why, '\x1b') == NULL);
    CHECK(!parse(&s, "a:~ \x7f") && strstr(why, "\"~ ?\"") != NULL);
    CHECK(parse(&s, "a:1") && why[0] == '\0'); /* nothing to complain of */
    jrc_servers_clear(&s);
}

/* Nothing is left allocated, and the text is not blamed. */
static void test_no_memory_for_a_list(void)
{
    enum { ALLOCATIONS = 6 }; /* twice the list, two hosts, the groups */
    struct jrc_servers s;

    for (unsigned n = 1; n <= ALLOCATIONS + 1 && fault_has_memory(); n++) {
        fault_arm(FAULT_MEMORY, n, false);
        bool made = jrc_servers_parse(&s, "a:1 b:2", why, sizeof why);
        fault_disarm();
        CHECK(made == (n > ALLOCATIONS) && why[0] == '\0');
        CHECK(made || (s.list == NULL && s.ready == NULL));
        jrc_servers_clear(&s);
    }
}

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

/* ---- rotation ------------------------------------------------------------ */

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

/* All letters and digits may be in a host, and what is next to them may not. */
static void test_every_character_of_a_host(void)
{
    for (int c = 1; c < 256; c++) {
        const char *allowed =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            "0123456789.-_";
        struct jrc_servers servers;
        char text[] = "a?a:1";
        text[1] = (char)c;
        bool is_good = strchr(allowed, c) != NULL;
        bool parsed = jrc_servers_parse(&servers, text, why, sizeof why);
        if (!CHECK(parsed == is_good))
            printf("  %d\n", c);
        if (parsed)
            jrc_servers_clear(&servers);
    }
}

int main(void)
{
    test_list();
    test_list_prefixes();
    test_no_memory_for_a_list();
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
    test_every_character_of_a_host();
    return check_done();
}
