/* The table of servers: which slot belongs to which server, however the list
 * changes. */
#include "servers_check.h"

#include <stdio.h>
#include <string.h>

enum { MINUTE = JRC_GONE_US };

/* Take a list in; *retry_us says when to try again if there is no room. */
static bool set(struct jrc_servers *s, const char *text, uint64_t now_us,
                uint64_t *retry_us)
{
    struct jrc_server_list list;
    char why[100];

    CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0);
    bool is_set = jrc_servers_set(s, &list, now_us, MOST, retry_us);
    jrc_server_list_clear(&list);
    return is_set;
}

static bool change(struct jrc_servers *s, const char *text, uint64_t now_us)
{
    uint64_t retry_us;

    return set(s, text, now_us, &retry_us);
}

static bool is_at(const struct jrc_servers *s, size_t i, const char *host,
                  enum jrc_server_state state)
{
    return i < s->count && strcmp(s->list[i].host, host) == 0 &&
           s->list[i].state == state;
}

static void test_a_server_keeps_its_slot(void)
{
    struct jrc_servers s;

    start(&s, "a:1,3 b:1,2 c:1,1", -1);
    come_up(&s, 1, 0);
    s.list[1].failures = 7;
    CHECK(change(&s, "d:1,5 B:1,4 a:1,5", 0));
    CHECK(is_at(&s, 0, "a", JRC_SERVER_DOWN) && s.list[0].change == JRC_KEPT);
    CHECK(is_at(&s, 1, "b", JRC_SERVER_UP) && s.list[1].change == JRC_KEPT);
    CHECK(is_at(&s, 2, "c", JRC_SERVER_GONE) && s.list[2].change == JRC_LEFT);
    CHECK(is_at(&s, 3, "d", JRC_SERVER_DOWN) && s.list[3].change == JRC_JOINED);
    CHECK(s.list[0].position == 2 && s.list[1].position == 1 &&
          s.list[3].position == 0);
    CHECK(s.list[0].group == 0 && s.list[1].group == 1 && s.list[3].group == 0);
    CHECK(s.list[1].priority == 4 && s.list[1].failures == 7);
    CHECK(s.group_count == 2);
    jrc_servers_clear(&s);
}

static void test_a_slot_is_given_to_another_after_a_minute(void)
{
    struct jrc_servers s;
    uint64_t retry_us;

    CHECK(table_of(&s, "a:1 b:1", 2));
    jrc_servers_start(&s, BASE, CAP, BASE, -1, 0);
    CHECK(change(&s, "a:1", 5));
    CHECK(!set(&s, "a:1 c:1", 10, &retry_us) && retry_us == 5 + MINUTE);
    CHECK(is_at(&s, 0, "a", JRC_SERVER_DOWN));
    CHECK(!set(&s, "a:1 c:1", 4 + MINUTE, &retry_us));
    const char *before = s.list[1].host;
    uint32_t uses = s.list[1].uses;
    CHECK(set(&s, "a:1 c:1", 5 + MINUTE, &retry_us));
    CHECK(is_at(&s, 1, "c", JRC_SERVER_DOWN) && s.list[1].uses == uses + 1 &&
          uses == 0);
    CHECK(strcmp(before, "b") == 0); /* another thread may still read it */
    CHECK(!set(&s, "a:1 c:1 d:1", 5 + MINUTE, &retry_us) &&
          retry_us == JRC_NEVER);
    jrc_servers_clear(&s);
}

static void test_a_full_table_waits_for_servers_that_leave(void)
{
    struct jrc_servers s;
    uint64_t retry_us;

    CHECK(table_of(&s, "a:1 b:1", 2));
    jrc_servers_start(&s, BASE, CAP, BASE, -1, 0);
    come_up(&s, 0, 0);
    CHECK(!set(&s, "b:1 c:1", 10, &retry_us) && retry_us == 10 + MINUTE);
    CHECK(is_at(&s, 0, "a", JRC_SERVER_UP)); /* nothing has changed */
    CHECK(s.ready_count == 1 && s.list[0].group == 0);
    jrc_servers_clear(&s);
}

static void test_a_server_that_returns_has_its_slot(void)
{
    struct jrc_servers s;

    start(&s, "a:1 b:1 c:1", -1);
    come_up(&s, 0, 0);
    come_up(&s, 1, 0);
    for (int n = 0; n < JRC_SUSPECT_AFTER; n++)
        jrc_servers_timed_out(&s, 1, 0, false, 0);
    go_down(&s, 2, 0, 0);
    CHECK(change(&s, "z:1", 1));
    CHECK(is_at(&s, 0, "a", JRC_SERVER_LEAVING));
    CHECK(is_at(&s, 1, "b", JRC_SERVER_LEAVING) && s.ready_count == 0);
    CHECK(!jrc_servers_answered(&s, 0, 1));
    jrc_servers_down(&s, 0, 2, 0);
    CHECK(is_at(&s, 0, "a", JRC_SERVER_GONE));
    CHECK(change(&s, "a:1 b:1 c:1", 3));
    CHECK(is_at(&s, 0, "a", JRC_SERVER_DOWN) && s.list[0].next_us == 3);
    CHECK(is_at(&s, 1, "b", JRC_SERVER_SUSPECT)); /* it is still suspected */
    CHECK(is_at(&s, 2, "c", JRC_SERVER_DOWN) && s.list[2].failures == 0);
    CHECK(is_at(&s, 3, "z", JRC_SERVER_GONE));
    jrc_servers_clear(&s);
}

/* A suspect that answers while it leaves comes back as one that is up. */
static void test_an_answer_ends_the_doubt_about_a_leaving_server(void)
{
    struct jrc_servers s;

    start(&s, "a:1 b:1", -1);
    come_up(&s, 0, 0);
    for (int n = 0; n < JRC_SUSPECT_AFTER; n++)
        jrc_servers_timed_out(&s, 0, 0, false, 0);
    CHECK(change(&s, "b:1", 1));
    CHECK(!jrc_servers_answered(&s, 0, 1));
    CHECK(change(&s, "a:1 b:1", 1) && is_at(&s, 0, "a", JRC_SERVER_UP));
    jrc_servers_clear(&s);
}

static void test_new_servers_are_tried_at_once_only_if_none_is_up(void)
{
    struct jrc_servers s;

    start(&s, "a:1", -1);
    CHECK(change(&s, "a:1 b:1", 9) && s.list[1].next_us == 9);
    come_up(&s, 0, 9);
    CHECK(change(&s, "a:1 b:1 c:1 d:1", 9));
    CHECK(s.list[2].next_us >= 9 && s.list[2].next_us <= 9 + BASE);
    CHECK(s.list[3].next_us >= 9 && s.list[3].next_us <= 9 + BASE);
    CHECK(s.list[2].next_us != s.list[3].next_us);
    CHECK(change(&s, "e:1", 9) && s.list[4].next_us == 9);
    jrc_servers_clear(&s);
}

/* A socket that was given is one connection, and there is no other. */
static void test_a_given_socket_is_tried_once(void)
{
    struct jrc_servers s;

    start(&s, "a:1 fd:7", -1);
    CHECK(!s.list[0].once && s.list[1].once);
    CHECK(change(&s, "a:1 fd:8", 9) && s.list[2].once);
    come_up(&s, 2, 9);
    go_down(&s, 2, 9, 0);
    CHECK(s.list[2].next_us == JRC_NEVER && s.list[0].next_us != JRC_NEVER);
    jrc_servers_clear(&s);
}

/* No call waits for a server that has left, or expects it to come up. */
static void test_calls_go_by_the_list(void)
{
    struct jrc_servers s;

    start(&s, "a:1,2 b:1,1", 0);
    CHECK(pick(&s, CAP) == JRC_SERVER_PENDING);
    come_up(&s, 1, 0);
    CHECK(change(&s, "b:1,1", 0) && pick(&s, 0) == 1); /* not after 50 ms */
    go_down(&s, 1, 0, 0);
    CHECK(pick(&s, 0) == JRC_NO_SERVER && !jrc_servers_hopeful(&s));
    CHECK(change(&s, "a:1", 0) && jrc_servers_hopeful(&s));
    CHECK(pick(&s, 0) == JRC_SERVER_PENDING);
    jrc_servers_clear(&s);
}

int main(void)
{
    test_a_server_keeps_its_slot();
    test_a_slot_is_given_to_another_after_a_minute();
    test_a_full_table_waits_for_servers_that_leave();
    test_a_server_that_returns_has_its_slot();
    test_an_answer_ends_the_doubt_about_a_leaving_server();
    test_new_servers_are_tried_at_once_only_if_none_is_up();
    test_a_given_socket_is_tried_once();
    test_calls_go_by_the_list();
    return check_done();
}
