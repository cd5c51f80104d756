/* Which servers of a long list are used. */
#include "engine/servers_set.h"
#include "engine/subset.h"
#include "servers_check.h"

#include <stdio.h>

enum { MOST_NAMES = 4000, PATIENCE = 1000000 };

/* count servers from "h<first>" on, all of one group. */
static const char *names(int first, int count)
{
    static char text[MOST_NAMES];
    int at = 0;

    for (int i = first; i < first + count; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "h%d:1 ", i);
    CHECK((size_t)at < sizeof text);
    return text;
}

static void set_list(struct jrc_servers *s, const char *text)
{
    struct jrc_server_list list;
    char why[100];
    uint64_t never;

    CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0);
    CHECK(jrc_servers_set(s, &list, 0, 0, &never));
    jrc_server_list_clear(&list);
}

static void begin(struct jrc_servers *s, const char *text, uint32_t most,
                  uint64_t seed)
{
    CHECK(jrc_servers_init(s, 512));
    jrc_subset_set_up(s, most, seed, PATIENCE);
    set_list(s, text);
    jrc_servers_start(s, BASE, CAP, BASE, -1, 0);
}

/* Two thousand processes, ten of two hundred servers each: a hundred for each
 * server, and not many more or fewer. */
static void test_each_server_has_its_share(void)
{
    enum { SERVERS = 200, SUBSET = 10, SEEDS = 2000 };
    uint32_t shares[SERVERS] = {0}, least = SEEDS, most = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct jrc_servers s;
        begin(&s, names(0, SERVERS), SUBSET, seed * 1000003);
        CHECK(used(&s) == SUBSET);
        for (size_t i = 0; i < SERVERS; i++)
            shares[i] += !s.list[i].spare;
        jrc_servers_clear(&s);
    }
    for (size_t i = 0; i < SERVERS; i++) {
        least = shares[i] < least ? shares[i] : least;
        most = shares[i] > most ? shares[i] : most;
    }
    printf("of %d processes, %u to %u use a server, of %d\n", SEEDS, least,
           most, SEEDS * SUBSET / SERVERS);
    /* Four standard deviations. */
    CHECK(least >= 60 && most <= 140);
}

static void test_some_of_each_group(void)
{
    struct jrc_servers s;

    begin(&s, "a:1,3 b:1,3 c:1,2 d:1,2 e:1,2 f:1", 2, 7);
    CHECK(used(&s) == 5);
    CHECK(!s.list[0].spare && !s.list[1].spare && !s.list[5].spare);
    CHECK(s.list[2].spare + s.list[3].spare + s.list[4].spare == 1);
    jrc_servers_clear(&s);
    begin(&s, "a:1,3 b:1,3 c:1,2 d:1,2 e:1,2 f:1", 0, 7);
    CHECK(used(&s) == 6); /* 0: all */
    jrc_servers_clear(&s);
}

static void test_weights_do_not_matter_to_the_choice(void)
{
    struct jrc_servers a, b;

    begin(&a, "a:1,1,9 b:1,1,1 c:1,1,1 d:1,1,1", 2, 11);
    begin(&b, "a:1,1,1 b:1,1,1 c:1,1,5 d:1,1,1", 2, 11);
    for (size_t i = 0; i < 4; i++)
        CHECK(a.list[i].spare == b.list[i].spare);
    jrc_servers_clear(&a);
    jrc_servers_clear(&b);
}

static void all_up(struct jrc_servers *s, uint64_t now_us)
{
    for (size_t i = 0; i < s->count; i++)
        if (jrc_server_is_listed(&s->list[i]) && !s->list[i].spare)
            come_up(s, i, now_us);
}

/* One server more, or less, changes at most one. */
static void test_a_change_of_the_list_changes_little(void)
{
    unsigned joined = 0, left = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct jrc_servers s;
        bool before[64];
        begin(&s, names(0, 40), 8, seed * 7919);
        all_up(&s, 0);
        for (size_t i = 0; i < 40; i++)
            before[i] = s.list[i].spare;
        set_list(&s, names(0, 41));     /* h40 is new */
        for (size_t i = 0; i < 40; i++) /* nobody leaves before it is up */
            CHECK(s.list[i].spare == before[i] && s.list[i].move == JRC_STAYS);
        joined += !s.list[40].spare;
        set_list(&s, names(1, 40)); /* h0 is gone */
        unsigned changed = 0;
        for (size_t i = 1; i < 40; i++)
            changed += s.list[i].spare != before[i];
        CHECK(changed <= 1 && (changed == 0 || !before[0]));
        left += changed;
        jrc_servers_clear(&s);
    }
    CHECK(joined > 10 && joined < 90 && left > 10 && left < 90); /* 8 of 40 */
}

int main(void)
{
    test_each_server_has_its_share();
    test_some_of_each_group();
    test_weights_do_not_matter_to_the_choice();
    test_a_change_of_the_list_changes_little();
    return check_done();
}
