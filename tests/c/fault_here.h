/* The definitions behind fault.h.  A program that makes things fail includes
 * this once, first of all: in an archive these would be linked to every program
 * that sends or allocates. */

#ifndef FAULT_HERE_H
#define FAULT_HERE_H

#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* Uninstrumented: they run before the sanitizers are ready. */
#define RAW __attribute__((no_sanitize("address", "undefined")))
#define SEEN RAW __attribute__((visibility("default"), used, noinline))

const char *const fault_names[FAULT_KINDS] = {
    "none",       "memory",     "socket",     "connect",        "send",
    "recv",       "setsockopt", "getsockopt", "epoll_create",   "epoll_ctl",
    "epoll_wait", "eventfd",    "timerfd",    "pthread_create", "getaddrinfo",
};

static _Atomic int armed; /* an enum fault_kind */
static _Atomic unsigned nth, counted, failed;
static atomic_bool forever;
static _Atomic int wanted_error;
static __thread bool exempted;
static __thread uint64_t rate_state;
static __thread uint32_t rate;

/* Places that saw a failure, by return address. */
enum { SITES = 4096 };
static void *_Atomic sites[SITES];
static _Atomic unsigned site_count;

RAW static void note_site(void *place)
{
    size_t at = ((uintptr_t)place >> 2) % SITES;

    for (size_t i = 0; i < SITES; i++, at = (at + 1) % SITES) {
        void *empty = NULL;
        if (atomic_compare_exchange_strong(&sites[at], &empty, place)) {
            atomic_fetch_add(&site_count, 1);
            return;
        }
        if (empty == place)
            return;
    }
}

RAW static bool rolls_failure(void)
{
    rate_state ^= rate_state >> 12;
    rate_state ^= rate_state << 25;
    rate_state ^= rate_state >> 27;
    return ((rate_state * 0x2545f4914f6cdd1dULL) >> 48) < rate;
}

/* Whether this call, of that kind, shall fail. */
RAW static bool fails(enum fault_kind kind, void *place)
{
    bool hit;

    if (kind == FAULT_MEMORY && rate > 0) {
        hit = rolls_failure();
    } else {
        if (atomic_load_explicit(&armed, memory_order_relaxed) != (int)kind ||
            exempted)
            return false;
        unsigned n = atomic_fetch_add(&counted, 1) + 1;
        unsigned at = atomic_load(&nth);
        hit = at != 0 && (n == at || (n > at && atomic_load(&forever)));
    }
    if (hit) {
        atomic_fetch_add(&failed, 1);
        note_site(place);
        errno = kind == FAULT_MEMORY ? ENOMEM : atomic_load(&wanted_error);
    }
    return hit;
}

void fault_arm(enum fault_kind kind, unsigned n, bool for_ever)
{
    atomic_store(&nth, n);
    atomic_store(&forever, for_ever);
    atomic_store(&counted, 0);
    atomic_store(&failed, 0);
    atomic_store(&armed, (int)kind);
}

void fault_error(int error)
{
    atomic_store(&wanted_error, error);
}

unsigned fault_disarm(void)
{
    atomic_store(&armed, FAULT_NONE);
    return atomic_load(&counted);
}

unsigned fault_count(void)
{
    return atomic_load(&failed);
}

unsigned fault_sites(void)
{
    return atomic_load(&site_count);
}

void fault_exempt(bool exempt)
{
    exempted = exempt;
}

void fault_memory_rate(uint32_t new_rate, uint64_t seed)
{
    rate = new_rate;
    rate_state = seed * 0x9e3779b97f4a7c15ULL | 1;
}

bool fault_has_memory(void)
{
#ifdef __SANITIZE_THREAD__
    return false;
#else
    return true;
#endif
}

/* ---- memory -------------------------------------------------------------- */

#ifndef __SANITIZE_THREAD__

/* The next definition after ours: a sanitizer's, or libc's. */
#define NEXT(name)                 \
    static __typeof__(&name) next; \
    if (next == NULL)              \
    next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

SEEN void *malloc(size_t size)
{
    NEXT(malloc);
    return fails(FAULT_MEMORY, __builtin_return_address(0)) ? NULL : next(size);
}

SEEN void *calloc(size_t count, size_t size)
{
    NEXT(calloc);
    return fails(FAULT_MEMORY, __builtin_return_address(0)) ? NULL
                                                            : next(count, size);
}

RAW static void *resize(void *old, size_t size)
{
    NEXT(realloc);
    return next(old, size);
}

SEEN void *realloc(void *old, size_t size)
{
    return fails(FAULT_MEMORY, __builtin_return_address(0)) ? NULL
                                                            : resize(old, size);
}

SEEN void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (fails(FAULT_MEMORY, __builtin_return_address(0)) ||
        __builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return resize(old, bytes);
}

RAW static char *copy(const char *text, size_t len)
{
    char *result = resize(NULL, len + 1);

    if (result == NULL)
        return NULL;
    memcpy(result, text, len);
    result[len] = '\0';
    return result;
}

#undef strdup
SEEN char *strdup(const char *text)
{
    return fails(FAULT_MEMORY, __builtin_return_address(0))
               ? NULL
               : copy(text, strlen(text));
}

#undef strndup
SEEN char *strndup(const char *text, size_t most)
{
    return fails(FAULT_MEMORY, __builtin_return_address(0))
               ? NULL
               : copy(text, strnlen(text, most));
}

#else

#define NEXT(name) \
    __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#endif

/* ---- system calls -------------------------------------------------------- */

RAW static bool is_short(void)
{
    return atomic_load(&wanted_error) == FAULT_SHORT;
}

#define FAIL_OR(kind, ...)                            \
    do {                                              \
        if (fails(kind, __builtin_return_address(0))) \
            return -1;                                \
        return next(__VA_ARGS__);                     \
    } while (0)

SEEN int socket(int family, int type, int protocol)
{
    NEXT(socket);
    FAIL_OR(FAULT_SOCKET, family, type, protocol);
}

SEEN int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    NEXT(connect);
    FAIL_OR(FAULT_CONNECT, fd, address, len);
}

SEEN int setsockopt(int fd, int level, int name, const void *value,
                    socklen_t len)
{
    NEXT(setsockopt);
    FAIL_OR(FAULT_SETSOCKOPT, fd, level, name, value, len);
}

SEEN int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    NEXT(getsockopt);
    FAIL_OR(FAULT_GETSOCKOPT, fd, level, name, value, len);
}

SEEN ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    NEXT(send);
    if (!fails(FAULT_SEND, __builtin_return_address(0)))
        return next(fd, bytes, len, flags);
    return is_short() ? next(fd, bytes, len > 0, flags) : -1;
}

SEEN ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    NEXT(recv);
    if (!fails(FAULT_RECV, __builtin_return_address(0)))
        return next(fd, bytes, len, flags);
    return is_short() ? next(fd, bytes, len > 0, flags) : -1;
}

SEEN int epoll_create1(int flags)
{
    NEXT(epoll_create1);
    FAIL_OR(FAULT_EPOLL_CREATE, flags);
}

SEEN int epoll_create(int size)
{
    NEXT(epoll_create);
    FAIL_OR(FAULT_EPOLL_CREATE, size);
}

SEEN int epoll_ctl(int fd, int op, int other, struct epoll_event *event)
{
    NEXT(epoll_ctl);
    FAIL_OR(FAULT_EPOLL_CTL, fd, op, other, event);
}

SEEN int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    NEXT(epoll_wait);
    FAIL_OR(FAULT_EPOLL_WAIT, fd, events, most, timeout);
}

SEEN int eventfd(unsigned count, int flags)
{
    NEXT(eventfd);
    FAIL_OR(FAULT_EVENTFD, count, flags);
}

SEEN int timerfd_create(int clock, int flags)
{
    NEXT(timerfd_create);
    FAIL_OR(FAULT_TIMERFD, clock, flags);
}

SEEN int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                        void *(*run)(void *), void *arg)
{
    NEXT(pthread_create);
    if (fails(FAULT_THREAD, __builtin_return_address(0)))
        return atomic_load(&wanted_error);
    return next(thread, attr, run, arg);
}

SEEN int getaddrinfo(const char *host, const char *port,
                     const struct addrinfo *hints, struct addrinfo **list)
{
    NEXT(getaddrinfo);
    if (fails(FAULT_GETADDRINFO, __builtin_return_address(0)))
        return atomic_load(&wanted_error);
    return next(host, port, hints, list);
}

#endif
