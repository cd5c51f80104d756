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
        jrc_servers_clear(&s);
    }
}

/* No server has to wait for its turn, or has many in a row. */
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

/* However often servers come and go, those that stay are picked by weight, and
 * one that is new is not picked alone until it has caught up. */
static void test_who_stays_goes_on_in_its_period(void)
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
    test_who_stays_goes_on_in_its_period();
    test_servers_that_are_passed_over();
    test_the_largest_weights();
    return check_done();
}
