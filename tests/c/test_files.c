/* Files of entries: which version counts, and what it changes. */
#include "fault_here.h"

#include "discovery_check.h"
#include "engine/files.h"
#include "jsonrpcc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE ((uint64_t)JRC_FILE_SETTLE_US)

/* ---- answers ---- */

static struct jrc_answer version(const char *text, uint64_t number)
{
    struct jrc_answer answer = {.kind = JRC_ANSWER_FOUND};
    const struct jrc_defaults defaults = {1, 1};

    answer.file = calloc(1, sizeof *answer.file);
    answer.file->stamp.hash = answer.file->stamp.inode = number;
    if (jrc_servers_parse_file(&answer.file->list, text, strlen(text),
                               &defaults, answer.file->why,
                               sizeof answer.file->why) != 0) {
        answer.kind = JRC_ANSWER_FAILED;
        answer.reason = JSONRPCC_BAD_LIST;
    }
    return answer;
}

static struct jrc_answer old(struct jrc_answer answer)
{
    answer.file->is_old = true;
    return answer;
}

static struct jrc_answer missing(int error)
{
    return (struct jrc_answer){.kind = JRC_ANSWER_FAILED, .reason = error};
}

static struct jrc_answer kind(enum jrc_answer_kind k)
{
    return (struct jrc_answer){.kind = k};
}

/* Answer the look that is due now; returns whether that changes the servers. */
static bool look(struct jrc_answer a)
{
    struct jrc_name *name = jrc_discovery_due(&d, now);

    if (!CHECK(name != NULL)) {
        jrc_answer_clear(&a);
        return false;
    }
    CHECK(jrc_discovery_due(&d, now) == NULL); /* one at a time */
    uint64_t before = d.version;
    bool changes = jrc_discovery_answer(&d, name, &a, now, 0);
    CHECK(d.version > before);
    CHECK(a.file == NULL && a.count == 0);
    return changes;
}

static struct jrc_name *file(void)
{
    return &d.names[0];
}

/* Make this the list in force. */
static void start_with(const char *text)
{
    start("file:/f");
    CHECK(look(old(version(text, 1))));
    CHECK(wait_for_next() == JRC_FILE_CHECK_US);
}

/* ---- the first version ---- */

static void test_an_old_file_counts_at_once(void)
{
    start("file:/f");
    CHECK(jrc_discovery_is_pending(&d, now));
    CHECK(jrc_files_stamp(file()) == NULL && jrc_files_list(file()) == NULL);
    CHECK(look(old(version("a:1 b:2", 1))));
    CHECK(!jrc_discovery_is_pending(&d, now));
    CHECK(file()->added == 2 && file()->gone == 0 && file()->lookups == 1);
    CHECK(jrc_name_count(file()) == 2 && jrc_files_stamp(file())->inode == 1);
    check_list("a:1 b:2");
    CHECK(wait_for_next() == JRC_FILE_CHECK_US);
    CHECK(!look(kind(JRC_ANSWER_SAME)) && file()->lookups == 2);
    finish();
}

static void test_a_new_file_has_to_be_seen_twice(void)
{
    start("file:/f");
    CHECK(!look(version("a:1", 1)));
    CHECK(jrc_discovery_is_pending(&d, now) && file()->lookups == 0);
    CHECK(wait_for_next() == SETTLE);
    CHECK(look(version("a:1", 1)));
    check_list("a:1");
    finish();
}

static void test_calls_do_not_wait_for_ever(void)
{
    start("file:/f");
    uint64_t began = now;
    for (uint64_t n = 1; now < began + S; n++) { /* written again and again */
        CHECK(jrc_discovery_is_pending(&d, now));
        CHECK(!look(version("a:1", n)));
        wait_for_next();
    }
    CHECK(now == began + S && !jrc_discovery_is_pending(&d, now));
    finish();
}

static void test_a_missing_file_is_known_at_once(void)
{
    static const uint64_t waits_s[] = {1, 2, 4, 5, 5};

    start("file:/f c:1");
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        CHECK(!look(missing(ENOENT)));
        CHECK(!jrc_discovery_is_pending(&d, now));
        CHECK(jrc_discovery_reason(&d) == ENOENT);
        CHECK(file()->file->is_news == (i == 0));
        CHECK(wait_for_next() == waits_s[i] * S);
    }
    check_list("c:1");
    CHECK(!look(missing(EACCES)) && file()->file->is_news);
    jrc_files_touch(file(), true, now + 1);
    wait_for_next();
    CHECK(look(version("a:1", 1)) && file()->reason == 0);
    check_list("a:1 c:1");
    finish();
}

/* ---- another version ---- */

static void test_another_version_has_to_stay(void)
{
    start_with("a:1 b:1");
    CHECK(!look(version("a:1", 2))); /* half of it */
    CHECK(wait_for_next() == SETTLE);
    CHECK(!look(version("a:1\nc:", 3)));
    CHECK(wait_for_next() == SETTLE);
    check_list("a:1 b:1");
    CHECK(!look(version("a:1\nc:1", 4)));
    jrc_files_touch(file(), false, now); /* it is closed */
    CHECK(wait_for_next() == JRC_FILE_GAP_US);
    CHECK(!look(version("a:1\nc:1", 4))); /* too soon */
    CHECK(wait_for_next() == SETTLE - JRC_FILE_GAP_US);
    check_list("a:1 b:1");
    CHECK(look(version("a:1\nc:1", 4)));
    check_list("a:1 c:1");
    CHECK(file()->added == 1 && file()->gone == 1 && file()->reason == 0);
    CHECK(!file()->file->is_news);
    finish();
}

/* Even if a change is noticed just before the version counts. */
static void test_looks_keep_their_distance(void)
{
    start_with("a:1 b:1");
    CHECK(!look(version("a:1", 2)));
    now += SETTLE - JRC_FILE_GAP_US / 2;
    jrc_files_touch(file(), false, now);
    CHECK(wait_for_next() == 0);
    CHECK(!look(version("a:1", 2)));
    CHECK(wait_for_next() == JRC_FILE_GAP_US);
    CHECK(look(version("a:1", 2)));
    finish();
}

static void test_what_is_undone_changes_nothing(void)
{
    start_with("a:1 b:1");
    CHECK(!look(version("", 2)));
    CHECK(wait_for_next() == SETTLE);
    CHECK(!look(kind(JRC_ANSWER_SAME)) && !file()->file->is_news);
    CHECK(file()->reason == 0 && wait_for_next() == JRC_FILE_CHECK_US);
    CHECK(!look(version("", 2)));
    CHECK(wait_for_next() == SETTLE); /* counted from the start */
    finish();
}

static void test_torn_reads_count_for_nothing(void)
{
    start_with("a:1 b:1");
    CHECK(!look(version("a:1", 2)));
    CHECK(wait_for_next() == SETTLE);
    CHECK(!look(kind(JRC_ANSWER_TORN)));
    CHECK(wait_for_next() == SETTLE);
    CHECK(!look(version("a:1", 2)));
    check_list("a:1 b:1");
    finish();
}

static void test_a_file_that_was_moved_there_is_whole(void)
{
    start_with("a:1 b:1");
    jrc_files_touch(file(), true, now);
    CHECK(wait_for_next() == 0);
    CHECK(look(version("a:1", 2)));
    check_list("a:1");
    wait_for_next();
    CHECK(!look(version("b:1", 3))); /* and this one was not */
    CHECK(wait_for_next() == SETTLE);
    jrc_files_touch(file(), true, now);
    CHECK(!look(version("#", 4)) && !file()->file->is_news);
    CHECK(wait_for_next() == SETTLE); /* a mistake may be one half, too */
    finish();
}

static void test_a_touch_during_a_look(void)
{
    start_with("a:1");
    struct jrc_name *name = jrc_discovery_due(&d, now);
    jrc_files_touch(name, true, now); /* after it was read, perhaps */
    jrc_files_touch(name, false, now);
    CHECK(jrc_discovery_next_us(&d, now) == JRC_NEVER);
    struct jrc_answer a = kind(JRC_ANSWER_SAME);
    CHECK(!jrc_discovery_answer(&d, name, &a, now, 0));
    CHECK(wait_for_next() == JRC_FILE_GAP_US);
    CHECK(look(version("b:1", 2)));
    CHECK(wait_for_next() == JRC_FILE_CHECK_US);
    finish();
}

/* Only another list changes anything; each fault is reported once. */
static void test_what_is_wrong_changes_nothing(void)
{
    const struct jrc_answer faults[] = {
        missing(ENOENT),       missing(EACCES), version("", 9),
        version("a:1\nx", 10), missing(EIO),    version("a:1 a:1", 11),
    };

    start_with("a:1 b:1");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct jrc_answer again = faults[i];
        if (faults[i].file != NULL)
            again = version("x", faults[i].file->stamp.inode);
        CHECK(!look(faults[i]) && !file()->file->is_news);
        CHECK(wait_for_next() == SETTLE);
        CHECK(!look(again) && file()->file->is_news);
        CHECK(file()->reason != 0 && file()->failed == i + 1 + (i > 0 ? i : 0));
        CHECK((file()->file->why[0] != '\0') == (again.file != NULL));
        CHECK(wait_for_next() == JRC_FILE_CHECK_US);
        again = again.file != NULL ? version("x", 9) : faults[i];
        if (again.file != NULL)
            again.file->stamp = file()->file->refused;
        CHECK(!look(again) && !file()->file->is_news);
        CHECK(wait_for_next() == JRC_FILE_CHECK_US);
        check_list("a:1 b:1");
    }
    CHECK(!look(kind(JRC_ANSWER_SAME)) && file()->reason == 0);
    CHECK(file()->file->why[0] == '\0');
    finish();
}

static void test_the_same_list_changes_nothing(void)
{
    start_with("a:1,2 b:1");
    static const struct {
        const char *text;
        bool changes;
    } versions[] = {
        {"# x\n a:1,2\n b:1", false}, {"b:1 a:1,2", true},
        {"b:1 a:1,3", true},          {"b:1 a:1,3,4", true},
        {"b:1,1,1 a:1,3,4", false},
    };
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        jrc_files_touch(file(), true, now);
        wait_for_next();
        CHECK(look(version(versions[i].text, 20 + i)) == versions[i].changes);
        CHECK(file()->added == 0 && file()->gone == 0);
        now += S;
    }
    finish();
}

/* ---- beside others ---- */

static void test_names_in_a_file(void)
{
    start("c:1 file:/f file:/g");
    CHECK(d.count == 2);
    uint32_t f = jrc_discovery_due(&d, now)->id;
    uint32_t g = jrc_discovery_due(&d, now)->id;
    struct jrc_answer a = old(version("dns:x:80 a:1", 1));
    CHECK(jrc_discovery_answer(&d, jrc_discovery_find(&d, f), &a, now, 0));
    CHECK(d.count == 3 && jrc_discovery_is_pending(&d, now));
    a = old(version("dns:x:80,2 b:1 a:1", 2)); /* each once */
    CHECK(jrc_discovery_answer(&d, jrc_discovery_find(&d, g), &a, now, 0));
    CHECK(d.count == 3);
    struct jrc_name *name = jrc_discovery_due(&d, now);
    CHECK(name->entry->kind == JRC_ENTRY_DNS && name->entry->priority == 2);
    a = kind(JRC_ANSWER_FOUND);
    CHECK(jrc_answer_add(&a, "10.0.0.1", 80, 0, 0));
    CHECK(jrc_discovery_answer(&d, name, &a, now, 0));
    check_list("c:1 a:1 x/10.0.0.1:80 b:1");
    uint32_t id = name->id;
    jrc_files_touch(file(), true, now);
    wait_for_next();
    CHECK(look(version("d:1", 3)));
    name = jrc_discovery_find(&d, id); /* still in the other one */
    CHECK(name != NULL && name->lookups == 1);
    check_list("c:1 d:1 x/10.0.0.1:80 b:1 a:1");
    set("file:/f"); /* the file keeps its contents, and its id */
    check_list("d:1");
    CHECK(jrc_discovery_find(&d, id) == NULL);
    finish();
}

static void test_the_servers_know_their_file(void)
{
    struct jrc_server_list list;
    size_t left_out;

    start("a:1 file:/f");
    CHECK(look(old(version("a:1 b:1", 1))));
    CHECK(jrc_discovery_list(&d, &list, &left_out) && list.count == 2);
    CHECK(list.entries[0].name == 0 && list.entries[1].name == file()->id);
    jrc_server_list_clear(&list);
    d.max = 1; /* now it is they that are cut */
    CHECK(jrc_discovery_list(&d, &list, &left_out) && left_out == 1);
    CHECK(strcmp(list.entries[0].host, "a") == 0);
    jrc_server_list_clear(&list);
    jrc_discovery_hasten(&d, file()->id, now); /* it is not a name to look up */
    CHECK(wait_for_next() == JRC_FILE_CHECK_US);
    finish();
}

static void test_with_another_default_the_file_is_read_again(void)
{
    start_with("a:1");
    CHECK(!look(kind(JRC_ANSWER_SAME)));
    now += S;
    set("file:/f,5");
    CHECK(wait_for_next() == 0);
    CHECK(jrc_files_stamp(file())->inode == 0); /* that of no version */
    check_list("a:1");
    set("file:/f,5");
    CHECK(wait_for_next() == 0);
    finish();
}

/* ---- no memory ---- */

static void test_no_memory(void)
{
    bool changes = false;

    start_with("a:1");
    for (unsigned n = 1; !changes && n < 50 && fault_has_memory(); n++) {
        jrc_files_touch(file(), true, now);
        wait_for_next();
        struct jrc_answer a = version("a:1 b:1 dns:x:1", 1 + n);
        struct jrc_name *name = jrc_discovery_due(&d, now);
        fault_arm(FAULT_MEMORY, n, false);
        changes = jrc_discovery_answer(&d, name, &a, now, 0);
        fault_disarm();
        CHECK(a.file == NULL);
        CHECK(changes || file()->reason == ENOMEM);
        check_list(changes ? "a:1 b:1" : "a:1");
        now += S;
    }
    CHECK(changes || !fault_has_memory());
    finish();
    start("file:/f");
    fault_arm(FAULT_MEMORY, 1, false);
    look(missing(ENOENT));
    fault_disarm();
    wait_for_next(); /* then it is tried again */
    CHECK(!look(missing(ENOENT)));
    finish();
}

int main(void)
{
    test_an_old_file_counts_at_once();
    test_a_new_file_has_to_be_seen_twice();
    test_calls_do_not_wait_for_ever();
    test_a_missing_file_is_known_at_once();
    test_another_version_has_to_stay();
    test_looks_keep_their_distance();
    test_what_is_undone_changes_nothing();
    test_torn_reads_count_for_nothing();
    test_a_file_that_was_moved_there_is_whole();
    test_a_touch_during_a_look();
    test_what_is_wrong_changes_nothing();
    test_the_same_list_changes_nothing();
    test_names_in_a_file();
    test_the_servers_know_their_file();
    test_with_another_default_the_file_is_read_again();
    test_no_memory();
    return check_done();
}
