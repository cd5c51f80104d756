/* If libevent gets no descriptors for a new base, it prints a message and calls
 * exit().  The process is not ours to end, so we first open what libevent is
 * about to open, to see whether that works.
 *
 * Before libevent's own attempt, another thread may take what was available.
 * The fatal callback then leaves libevent by longjmp(), at the price of a few
 * hundred bytes and a descriptor.  The fatal and log callbacks belong to the
 * process, and there is no way to ask which ones are set: a program that uses
 * the same libevent and wants its own sets them after it has created its first
 * client.  For threads that are not in here, ours do what libevent does without
 * callbacks. */

#include "io/event_base.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No process has more unless its administrator says so. */
enum { MOST_FDS = 1 << 20 };

static _Thread_local bool is_quiet;
static _Thread_local jmp_buf *way_out;
/* The number that an epoll descriptor last got here: libevent's most likely has
 * it now. */
static _Thread_local int likely_fd;

static void on_log(int severity, const char *text)
{
    static const char *const names[] = {"debug", "msg", "warn", "err"};

    if (!is_quiet)
        fprintf(stderr, "[%s] %s\n",
                severity >= 0 && severity < 4 ? names[severity] : "???", text);
}

/* libevent exits when this returns: another thread's libevent would have done
 * so without us, too. */
static void on_fatal(int status)
{
    (void)status;
    if (way_out != NULL)
        longjmp(*way_out, 1);
}

static void set_callbacks(void)
{
    event_set_log_callback(on_log);
    event_set_fatal_callback(on_fatal);
}

/* 0, or the errno with which libevent would fail: it opens an epoll descriptor
 * and a pipe. */
static int probe(void)
{
    int ends[2];
    int error = 0;
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return errno;
    likely_fd = fd;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        error = errno;
    close(fd);
    if (error != 0)
        return error;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* libevent's other methods scan all descriptors, and a system with eventfds
 * always has epoll. */
static bool configure(struct event_config *config)
{
    return event_config_avoid_method(config, "poll") == 0 &&
           event_config_avoid_method(config, "select") == 0 &&
           event_config_set_flag(
               config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
                           EVENT_BASE_FLAG_NO_CACHE_TIME) == 0;
}

static struct event_base *enter(const struct event_config *config)
{
    jmp_buf out;

    if (setjmp(out) != 0)
        return NULL;
    way_out = &out;
    return event_base_new_with_config(config);
}

struct event_base *jrc_event_base_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct event_base *base = NULL;
    int error = probe();

    if (error != 0) {
        errno = error;
        return NULL;
    }
    pthread_once(&once, set_callbacks);
    is_quiet = true;
    struct event_config *config = event_config_new();
    if (config != NULL && configure(config)) {
        base = enter(config);
        way_out = NULL;
    }
    if (config != NULL)
        event_config_free(config);
    is_quiet = false;
    if (base == NULL) {
        error = probe(); /* out of descriptors now, or else out of memory */
        errno = error != 0 ? error : ENOMEM;
    }
    return base;
}

/* Whether this number belongs to an epoll descriptor that watches fd.  It
 * repeats what libevent asked for, which changes nothing there and is an error
 * anywhere else.  It bypasses the C library: if the number is another thread's
 * descriptor, that is no race of ours, but TSan would report one. */
static bool watches(int number, int fd)
{
    struct epoll_event same = {.events = EPOLLIN, .data.fd = fd};

    return syscall(SYS_epoll_ctl, number, EPOLL_CTL_MOD, fd, &same) == 0;
}

int jrc_event_base_fd(int fd)
{
    struct rlimit limit;
    int end = MOST_FDS;

    if (watches(likely_fd, fd))
        return likely_fd;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < MOST_FDS)
        end = (int)limit.rlim_cur;
    for (int each = 0; each < end; each++)
        if (watches(each, fd))
            return each;
    return -1;
}

/* Whether fd is open as libevent opens the end of a pipe. */
static bool is_end(int fd, int mode)
{
    int flags = O_ACCMODE | O_NONBLOCK;

    return fd >= 0 && fd < MOST_FDS &&
           (fcntl(fd, F_GETFL) & flags) == (mode | O_NONBLOCK) &&
           fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

/* If only one is, it is another thread's, and TSan would call it a race to look
 * at more than its flags. */
static bool is_pipe(const int ends[2])
{
    struct stat from, to;

    return is_end(ends[0], O_RDONLY) && is_end(ends[1], O_WRONLY) &&
           fstat(ends[0], &from) == 0 && fstat(ends[1], &to) == 0 &&
           S_ISFIFO(from.st_mode) && from.st_dev == to.st_dev &&
           from.st_ino == to.st_ino;
}

/* libevent has no function for that, but its struct has the two numbers near
 * its beginning, side by side.  In every version, it is larger than what we
 * look at. */
void jrc_event_base_pipe(const struct event_base *base, int ends[2])
{
    enum { BEGINNING = 192 };
    const char *at = (const char *)base;
    int pair[2];

    ends[0] = ends[1] = -1;
    for (size_t i = 0; i + sizeof pair <= BEGINNING; i += sizeof(int)) {
        memcpy(pair, at + i, sizeof pair);
        if (is_pipe(pair))
            memcpy(ends, pair, sizeof pair);
    }
}

int jrc_event_add(struct event *event)
{
    is_quiet = true;
    errno = ENOMEM;
    int error = event_add(event, NULL) == 0 ? 0 : errno;
    is_quiet = false;
    return error;
}
