/* Files of entries are read whole or not at all, whatever is at their path. */
#include "fault_here.h"

#include "folder_check.h"
#include "io/file_read.h"
#include "jsonrpcc.h"

#include <sys/stat.h>

static struct jrc_answer look(const struct jrc_stamp *known)
{
    struct jrc_file_ask ask = {.defaults = {1, 1}};
    struct jrc_answer answer;

    if (known != NULL)
        ask.known = *known;
    jrc_file_read(path, &ask, &answer);
    return answer;
}

static void check_refused(int32_t reason, const char *why)
{
    struct jrc_answer answer = look(NULL);

    CHECK(answer.kind == JRC_ANSWER_FAILED && answer.reason == reason);
    CHECK((answer.file != NULL) == (why != NULL));
    if (why != NULL && !CHECK(strstr(answer.file->why, why) != NULL))
        printf("  %s\n", answer.file->why);
    jrc_answer_clear(&answer);
}

static void test_a_file_is_read(void)
{
    begin();
    put_text(path, "a:1\n# b\nunix:/x,3\n");
    struct jrc_answer first = look(NULL);
    CHECK(first.kind == JRC_ANSWER_FOUND && first.file->list.count == 2);
    CHECK(!first.file->is_old && first.file->stamp.size == 18);
    struct jrc_answer same = look(&first.file->stamp);
    CHECK(same.kind == JRC_ANSWER_SAME && same.file == NULL);
    put_text(other, "b:1");
    CHECK(rename(other, path) == 0);
    struct jrc_answer second = look(&first.file->stamp);
    CHECK(second.kind == JRC_ANSWER_FOUND && second.file->list.count == 1);
    CHECK(!jrc_stamp_is_same(&first.file->stamp, &second.file->stamp));
    const struct timespec before[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    CHECK(utimensat(AT_FDCWD, path, before, 0) == 0);
    struct jrc_answer third = look(&second.file->stamp);
    CHECK(third.kind == JRC_ANSWER_FOUND && third.file->is_old);
    jrc_answer_clear(&first);
    jrc_answer_clear(&second);
    jrc_answer_clear(&third);
    end();
}

/* The same length, and by utimes() the same time: the contents tell. */
static void test_the_stamp_has_the_contents(void)
{
    begin();
    put_text(path, "a:1");
    struct jrc_answer first = look(NULL);
    put_text(path, "b:1");
    struct jrc_answer second = look(NULL);
    CHECK(first.file->stamp.hash != second.file->stamp.hash);
    jrc_answer_clear(&first);
    jrc_answer_clear(&second);
    end();
}

static void test_what_is_not_a_list(void)
{
    static char large[JRC_FILE_MAX + 2];

    begin();
    check_refused(ENOENT, NULL);
    put_text(path, "");
    check_refused(JSONRPCC_BAD_LIST, "line 1: a server is expected");
    put_text(path, "a:1\nb:1 c\n");
    check_refused(JSONRPCC_BAD_LIST, "line 2: ':' and a port are expected");
    put(path, "a:1\n\0\xff\xfe", 7);
    check_refused(JSONRPCC_BAD_LIST, "line 2: a byte that is no text");
    put(path,
        "\x7f"
        "ELF\2\1\1\0\0\0\0",
        11);
    check_refused(JSONRPCC_BAD_LIST, "line 1: a host is expected");
    memset(large, '\n', sizeof large);
    memcpy(large, "a:1", 3);
    put(path, large, JRC_FILE_MAX);
    struct jrc_answer answer = look(NULL);
    CHECK(answer.kind == JRC_ANSWER_FOUND && answer.file->list.count == 1);
    jrc_answer_clear(&answer);
    put(path, large, JRC_FILE_MAX + 1);
    check_refused(JSONRPCC_BAD_LIST, "more than 1 MiB");
    unlink(path);
    CHECK(mkfifo(path, 0600) == 0);
    check_refused(EINVAL, NULL); /* without waiting for a writer */
    unlink(path);
    CHECK(symlink(path, path) == 0);
    check_refused(ELOOP, NULL);
    unlink(path);
    CHECK(mkdir(path, 0700) == 0);
    check_refused(EISDIR, NULL);
    end();
}

static void test_an_escaped_path(void)
{
    const struct jrc_file_ask ask = {.defaults = {1, 1}};
    struct jrc_answer answer;
    char escaped[120];

    begin();
    sprintf(path, "%s/a b,%%", folder);
    sprintf(escaped, "%s/a%%20b%%2C%%25", folder);
    put_text(path, "a:1");
    jrc_file_read(escaped, &ask, &answer);
    CHECK(answer.kind == JRC_ANSWER_FOUND);
    jrc_answer_clear(&answer);
    end();
}

static void test_no_memory(void)
{
    struct jrc_answer answer = {0};

    begin();
    put_text(path, "a:1 b:1");
    for (unsigned n = 1; answer.kind != JRC_ANSWER_FOUND && n < 50; n++) {
        fault_arm(FAULT_MEMORY, n, false);
        answer = look(NULL);
        fault_disarm();
        CHECK(answer.kind == JRC_ANSWER_FOUND ||
              (answer.reason == ENOMEM && answer.file == NULL));
    }
    CHECK(answer.kind == JRC_ANSWER_FOUND);
    jrc_answer_clear(&answer);
    fault_error(EIO);
    fault_arm(FAULT_READ, 1, true);
    answer = look(NULL);
    fault_disarm();
    CHECK(answer.kind == JRC_ANSWER_FAILED && answer.reason == EIO);
    CHECK(answer.file == NULL);
    end();
}

int main(void)
{
    test_a_file_is_read();
    test_the_stamp_has_the_contents();
    test_what_is_not_a_list();
    test_an_escaped_path();
    test_no_memory();
    return check_done();
}
