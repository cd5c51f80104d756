/* The list of servers that the answers for all names make. */
#include "fault_here.h"

#include "discovery_check.h"

#include <stdlib.h>

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

static void test_a_duplicate_server_has_its_best_place(void)
{
    start("10.0.0.1:80,1 dns:x:80,2 dns:y:80,3");
    CHECK(answer(found("10.0.0.1:80 10.0.0.2:80", 0), 0));
    check_list("x/10.0.0.1:80=0 x/10.0.0.2:80=0");
    CHECK(answer(found("10.0.0.2:80", 0), 0));
    check_list("x/10.0.0.1:80=1 y/10.0.0.2:80=0");
    finish();
    start("dns:x:80,3 dns:y:80,2");
    CHECK(answer(found("10.0.0.1:80", 0), 0));
    CHECK(answer(found("10.0.0.1:80", 0), 0));
    check_list("x/10.0.0.1:80=0");
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

/* Every server gets its share of clients, and a change of the list moves
 * few. */
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
    strcpy(before, list_text(true));
    wait_for_next();
    fill(SERVERS - 1); /* one fewer: at most one is another */
    const char *after = list_text(true);
    int kept = 0;
    for (char *word = strtok(before, " "); word != NULL;
         word = strtok(NULL, " "))
        kept += strstr(after, word) != NULL;
    CHECK(kept >= 7);
    finish();
}

/* Even if a name stands for it, too, with a better priority. */
static void test_literal_servers_stay_in_the_list(void)
{
    struct jrc_server_list list;
    size_t left_out;

    start("10.0.0.1:80,1 dns:x:80,2");
    fill(20);
    for (d.seed = 0; d.seed < 50; d.seed++) {
        unsigned found = 0;
        CHECK(jrc_discovery_list(&d, &list, &left_out));
        CHECK(list.count == 8 && left_out == 12);
        for (size_t i = 0; i < list.count; i++)
            found +=
                strcmp(jrc_entry_address(&list.entries[i]), "10.0.0.1") == 0;
        CHECK(found == 1);
        jrc_server_list_clear(&list);
    }
    finish();
}

static void test_literal_servers_may_fill_the_list(void)
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
    test_a_duplicate_server_has_its_best_place();
    test_the_same_answer_changes_nothing();
    test_the_list_is_cut();
    test_literal_servers_stay_in_the_list();
    test_literal_servers_may_fill_the_list();
    test_no_memory();
    return check_done();
}
