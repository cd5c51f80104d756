#include "io/file_read.h"

#include "engine/files.h"
#include "jsonrpcc.h"
#include "wire/path_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_NS = 1000000000 };

char *jrc_file_path(char path[JRC_FILE_PATH + 1], const char *text)
{
    const char *rule;
    size_t len;

    jrc_path_text_read(path, JRC_FILE_PATH, &len, text, &rule);
    return path;
}

static int64_t ns_of(struct timespec time)
{
    return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

static struct jrc_stamp stamp_of(const struct stat *stat)
{
    return (struct jrc_stamp){
        .device = stat->st_dev,
        .inode = stat->st_ino,
        .size = (uint64_t)stat->st_size,
        .modified_ns = ns_of(stat->st_mtim),
        .changed_ns = ns_of(stat->st_ctim),
    };
}

/* Whether it has not been written to for so long that nobody may be at it. */
static bool is_old(const struct stat *stat)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return ns_of(now) - ns_of(stat->st_mtim) >= JRC_FILE_SETTLE_US * 1000L;
}

static uint64_t hash_of(const char *bytes, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Up to size bytes; -1: errno says why. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, bytes + len, size - len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        len += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)len;
}

/* 0, or why the contents are refused. */
static int32_t read_list(int fd, char *text, const struct jrc_file_ask *ask,
                         struct jrc_file_list *file)
{
    ssize_t len = read_all(fd, text, JRC_FILE_MAX + 1);

    if (len < 0)
        return errno;
    if (len > JRC_FILE_MAX) {
        snprintf(file->why, sizeof file->why, "more than 1 MiB");
        return JSONRPCC_BAD_LIST;
    }
    text[len] = '\0';
    file->stamp.hash = hash_of(text, (size_t)len);
    int error =
        jrc_servers_parse_file(&file->list, text, (size_t)len, &ask->defaults,
                               file->why, sizeof file->why);
    return error == EINVAL ? JSONRPCC_BAD_LIST : error;
}

/* Of an open file; answer->kind is FAILED.  Returns the reason. */
static int32_t look(int fd, const struct jrc_file_ask *ask,
                    struct jrc_answer *answer)
{
    struct stat before, after;

    if (fstat(fd, &before) != 0)
        return errno;
    if (S_ISDIR(before.st_mode))
        return EISDIR;
    if (!S_ISREG(before.st_mode))
        return EINVAL; /* reading might wait for somebody */
    struct jrc_stamp known = ask->known;
    known.hash = 0;
    struct jrc_stamp stamp = stamp_of(&before);
    if (jrc_stamp_is_same(&stamp, &known)) {
        answer->kind = JRC_ANSWER_SAME;
        return 0;
    }
    char *text = malloc(JRC_FILE_MAX + 2);
    answer->file = calloc(1, sizeof *answer->file);
    if (text == NULL || answer->file == NULL) {
        free(text);
        return ENOMEM;
    }
    answer->file->stamp = stamp;
    answer->file->is_old = is_old(&before);
    int32_t reason = read_list(fd, text, ask, answer->file);
    free(text);
    if (reason == 0)
        answer->kind = JRC_ANSWER_FOUND;
    if (fstat(fd, &after) != 0)
        return errno;
    /* It was written to meanwhile: this is no version of it. */
    struct jrc_stamp then = stamp_of(&after);
    if (!jrc_stamp_is_same(&stamp, &then))
        answer->kind = JRC_ANSWER_TORN;
    return reason;
}

void jrc_file_read(const char *path, const struct jrc_file_ask *ask,
                   struct jrc_answer *answer)
{
    char bytes[JRC_FILE_PATH + 1];

    memset(answer, 0, sizeof *answer);
    /* A FIFO must not make it wait for a writer. */
    int fd = open(jrc_file_path(bytes, path),
                  O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    answer->reason = fd < 0 ? errno : look(fd, ask, answer);
    if (fd >= 0)
        close(fd);
    bool is_of_file = answer->kind != JRC_ANSWER_FAILED ||
                      answer->reason == JSONRPCC_BAD_LIST;
    if (is_of_file && answer->kind != JRC_ANSWER_TORN)
        return;
    jrc_file_list_free(answer->file);
    answer->file = NULL;
}
