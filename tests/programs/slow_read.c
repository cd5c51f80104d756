/* Preloaded: read() takes a while to begin, so that what another thread does
 * just before it is sure to happen. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

ssize_t read(int fd, void *bytes, size_t size)
{
    ssize_t (*real)(int, void *, size_t) =
        (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");

    if (size == 8) /* an eventfd's */
        usleep(3000);
    return real(fd, bytes, size);
}
