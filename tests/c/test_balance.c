/* Weighted round robin: exact over each period, and evenly spread. */
#include "servers_check.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SERVERS = 40 };

/* In every window of the sum of weights, not only in those that begin a period,
 * each server is picked as often as its weight says. */
static void check_windows(struct jrc_servers *s, uint64_t sum)
{
    uint32_t hits[MOST_SERVERS] = {0};
    int32_t *picks = calloc(3 * sum, sizeof *picks);

    for (uint64_t n = 0; n < 3 * sum; n++) {
        picks[n] = pick(s, 0);
        hits[picks[n]]++;
        if (n >= sum)
            hits[picks[n - sum]]--;
        for (size_t i = 0; n + 1 >= sum && i < s->ready_count; i++)
            if (!CHECK(hits[i] == s->list[i].weight))
                n = 3 * sum;
    }
    free(picks);
}

static void test_every_window_is_exact(void)
{
    static const char *const lists[] = {
        "a:1,1,1 b:1,1,2",
        "a:1,1,5 b:1,1,3 c:1,1,2",
        "a:1,1,100 b:1,1,1 c:1,1,1 d:1,1,7",
        "a:1,1,3 b:1 c:1,1,3 d:1,1,1 e:1,1,11",
    };

    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        struct jrc_servers s;
        uint64_t sum = 0;
        start(&s, lists[k], -1);
        for (size_t i = 0; i < s.count; i++) {
            come_up(&s, i, 0);
            sum += s.list[i].weight;
        }
        CHECK(s.is_weighted);
        check_windows(&s, sum);
        CHECK(s.shares.picked == 0); /* three whole periods */
        for (size_t i = 0; i < s.count; i++)
            CHECK(s.shares.list[i].picked == 0);
        jrc_servers_clear(&s);
    }
}

/* No server waits long for its turn, or gets many in a row. */
static void test_picks_are_spread(void)
{
    struct jrc_servers s;
    unsigned since = 0, in_a_row = 0;

    start(&s, "a:1,1,1 b:1,1,9", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    for (int n = 0; n < 1000; n++) {
        bool first = pick(&s, 0) == 0;
        since = first ? 0 : since + 1;
        in_a_row = since > in_a_row ? since : in_a_row;
    }
    CHECK(in_a_row == 9);
    jrc_servers_clear(&s);
}

static void test_equal_weights_need_no_heap(void)
{
    struct jrc_servers s;

    start(&s, "a:1,1,7 b:1,1,7 c:1,1,7 d:1,0,9", -1);
    for (size_t i = 0; i < s.count; i++)
        come_up(&s, i, 0);
    CHECK(!s.is_weighted && s.shares.count == 0);
    for (int32_t n = 0; n < 9; n++)
        CHECK(pick(&s, 0) == n % 3);
    jrc_servers_clear(&s);
}

static uint64_t count_picked(const struct jrc_servers *s)
{
    uint64_t picked = 0;

    for (size_t i = 0; i < s->shares.count; i++)
        picked += s->shares.list[i].picked;
    return picked;
}

/* A server that joins in the middle of a period counts as if it had had its
 * share so far. */
static void test_a_new_server_joins_the_period(void)
{
    struct jrc_servers s;

    start(&s, "a:1,1,60 b:1,1,40 c:1,1,50", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    for (int n = 0; n < 50; n++)
        pick(&s, 0);
    CHECK(count_picked(&s) == 50);
    come_up(&s, 2, 0);
    CHECK(count_picked(&s) == 75 && s.shares.picked == 75);
    jrc_servers_clear(&s);
}

/* However often servers come and go, those that stay are picked by weight, and
 * a new one does not get all calls in order to catch up. */
static void test_a_server_that_stays_continues_its_period(void)
{
    struct jrc_servers s;
    uint32_t hits[4] = {0};
    unsigned in_a_row = 0, most = 0;
    int32_t last = -1;

    start(&s, "a:1,1,60 b:1,1,30 c:1,1,10 d:1,1,50", -1);
    for (size_t i = 0; i < 3; i++)
        come_up(&s, i, 0);
    for (int n = 0; n < 30000; n++) {
        if (n % 7 == 3)
            come_up(&s, 3, 0);
        if (n % 7 == 5) {
            go_down(&s, 3, 0, 0);
            s.list[3].failures = 0;
        }
        int32_t picked = pick(&s, 0);
        CHECK(s.shares.picked == count_picked(&s));
        in_a_row = picked == last ? in_a_row + 1 : 1;
        most = in_a_row > most ? in_a_row : most;
        last = picked;
        hits[picked]++;
    }
    CHECK(hits[0] > 58 * (hits[2] / 10) && hits[0] < 62 * (hits[2] / 10 + 1));
    CHECK(hits[1] > 29 * (hits[2] / 10) && hits[1] < 31 * (hits[2] / 10 + 1));
    CHECK(hits[3] > 0 && most <= 4);
    jrc_servers_clear(&s);
}

/* The remaining servers have all had their turns. */
static void test_the_rest_of_a_period_goes_with_its_server(void)
{
    struct jrc_servers s;
    unsigned hits[3] = {0};

    start(&s, "a:1,1,1 b:1,1,2 c:1,1,100", -1);
    for (size_t i = 0; i < s.count; i++)
        come_up(&s, i, 0);
    for (int n = 0; n < 102; n++)
        hits[pick(&s, 0)]++;
    CHECK(hits[0] == 1 && hits[1] == 2);
    go_down(&s, 2, 0, 0);
    for (int n = 0; n < 3; n++)
        hits[pick(&s, 0)]++;
    CHECK(hits[0] == 2 && hits[1] == 4);
    jrc_servers_clear(&s);
}

static bool is_first(const void *arg, uint32_t i)
{
    (void)arg;
    return i == 0;
}

static bool is_any(const void *arg, uint32_t i)
{
    (void)arg;
    (void)i;
    return true;
}

static bool is_none(const void *arg, uint32_t i)
{
    (void)arg;
    (void)i;
    return false;
}

static bool is_not(const void *arg, uint32_t i)
{
    const uint32_t *only = arg;

    return i != *only;
}

static void test_servers_that_are_passed_over(void)
{
    struct jrc_servers s;
    unsigned hits[3] = {0};

    start(&s, "a:1,1,100 b:1,1,2 c:1,1,1", -1);
    for (size_t i = 0; i < s.count; i++)
        come_up(&s, i, 0);
    for (int n = 0; n < 3; n++)
        hits[jrc_servers_pick_other(&s, is_first, NULL)]++;
    CHECK(hits[0] == 0 && hits[1] == 2 && hits[2] == 1);
    CHECK(jrc_servers_pick_other(&s, is_any, NULL) == JRC_NO_SERVER);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(jrc_servers_pick_other(&s, is_not, &i) == (int32_t)i);
        go_down(&s, i, 0, 0);
        CHECK(jrc_servers_pick_other(&s, is_not, &i) == JRC_NO_SERVER);
        for (int n = 0; n < 10; n++) {
            CHECK(pick(&s, 0) != (int32_t)i);
            CHECK(jrc_servers_pick_other(&s, is_none, NULL) >= 0);
        }
        come_up(&s, i, 0);
        jrc_servers_answered(&s, i, 0);
    }
    jrc_servers_clear(&s);
}

static void test_the_largest_weights(void)
{
    struct jrc_servers s;
    uint32_t hits[2] = {0};

    start(&s, "a:1,1,65535 b:1,1,65534", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    for (int n = 0; n < 65535 + 65534; n++)
        hits[pick(&s, 0)]++;
    CHECK(hits[0] == 65535 && hits[1] == 65534);
    jrc_servers_clear(&s);
}

int main(void)
{
    test_every_window_is_exact();
    test_picks_are_spread();
    test_equal_weights_need_no_heap();
    test_a_new_server_joins_the_period();
    test_a_server_that_stays_continues_its_period();
    test_the_rest_of_a_period_goes_with_its_server();
    test_servers_that_are_passed_over();
    test_the_largest_weights();
    return check_done();
}
