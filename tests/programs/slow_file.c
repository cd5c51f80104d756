/* Loaded before libc: to open the file SLOW_FILE, or to watch a directory below
 * SLOW_FOLDER, takes for ever, as on a file server that has gone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void hang_if(const char *variable, const char *path)
{
    const char *slow = getenv(variable);

    while (slow != NULL && strncmp(path, slow, strlen(slow)) == 0)
        pause();
}

typedef int open_fn(const char *, int, ...);

static int call(const char *name, const char *path, int flags, mode_t mode)
{
    open_fn *real = (open_fn *)dlsym(RTLD_NEXT, name);

    hang_if("SLOW_FILE", path);
    return real(path, flags, mode);
}

static mode_t mode_of(int flags, va_list list)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return call("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return call("open64", path, flags, mode);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    int (*real)(int, const char *, uint32_t) =
        (int (*)(int, const char *, uint32_t))dlsym(RTLD_NEXT,
                                                    "inotify_add_watch");

    hang_if("SLOW_FOLDER", path);
    return real(fd, path, mask);
}
