/* The definitions behind fault.h.  A program that makes things fail includes
 * this once, first of all: in an archive these would be linked to every program
 * that sends or allocates. */

#ifndef FAULT_HERE_H
#define FAULT_HERE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT, pthread_getattr_np() */
#endif

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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Uninstrumented: they run before the sanitizers are ready. */
#define RAW __attribute__((no_sanitize("address", "undefined")))
#define SEEN RAW __attribute__((visibility("default"), used, noinline))

const char *const fault_names[FAULT_KINDS] = {
    "none",       "memory",     "socket",     "connect",        "send",
    "recv",       "setsockopt", "getsockopt", "epoll_create",   "epoll_ctl",
    "epoll_wait", "eventfd",    "timerfd",    "pthread_create", "getaddrinfo",
    "sockname",   "read",
};

static _Atomic int armed; /* an enum fault_kind */
static _Atomic unsigned nth, counted, failed;
static atomic_bool forever;
static _Atomic int wanted_error;
static __thread bool exempted;
static __thread uint64_t rate_state;
static __thread uint32_t rate;

/* Places that call functions that can be made to fail, by return address. */
enum { SITES = 4096, SITE_MEMORY = 1, SITE_HIT = 2 };
struct sites {
    void *_Atomic places[SITES];
    atomic_uchar flags[SITES];
};
static struct sites *sites; /* shared with forked children */

__attribute__((constructor)) static void map_sites(void)
{
    sites = mmap(NULL, sizeof *sites, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sites == MAP_FAILED)
        abort();
}

RAW static void note_site(void *place, unsigned char flags)
{
    size_t at = ((uintptr_t)place >> 2) % SITES;

    for (size_t i = 0; i < SITES; i++, at = (at + 1) % SITES) {
        void *empty = NULL;
        if (atomic_compare_exchange_strong(&sites->places[at], &empty, place) ||
            empty == place) {
            atomic_fetch_or(&sites->flags[at], flags);
            return;
        }
    }
}

RAW static bool rolls_failure(void)
{
    rate_state ^= rate_state >> 12;
    rate_state ^= rate_state << 25;
    rate_state ^= rate_state >> 27;
    return ((rate_state * 0x2545f4914f6cdd1dULL) >> 48) < rate;
}

/* Whether this call, of that kind, is to fail. */
RAW static bool fails(enum fault_kind kind, void *place)
{
    unsigned char flags = kind == FAULT_MEMORY ? SITE_MEMORY : 0;
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
        note_site(place, (unsigned char)(flags | (hit ? SITE_HIT : 0)));
    }
    if (hit) {
        atomic_fetch_add(&failed, 1);
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

void fault_sites(bool memory, unsigned *seen, unsigned *hit)
{
    *seen = *hit = 0;
    for (size_t i = 0; i < SITES; i++) {
        unsigned flags = sites->flags[i];
        if (sites->places[i] == NULL || ((flags & SITE_MEMORY) != 0) != memory)
            continue;
        *seen += 1;
        *hit += (flags & SITE_HIT) != 0;
    }
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

void fault_no_memory_here(bool lacks)
{
    atomic_store(&failed, 0);
    rate = lacks ? 65536 : 0;
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

/* The definition behind ours: a sanitizer's, or libc's. */
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

SEEN void *mmap(void *at, size_t size, int protection, int flags, int fd,
                off_t offset)
{
    NEXT(mmap);
    return fails(FAULT_MEMORY, __builtin_return_address(0))
               ? MAP_FAILED
               : next(at, size, protection, flags, fd, offset);
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

/* ASan calls this at the start of each thread, and cannot cope with a
 * failure. */
SEEN int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
    NEXT(pthread_getattr_np);
    bool before = exempted;
    exempted = true;
    int error = next(thread, attr);
    exempted = before;
    return error;
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
    if (op != EPOLL_CTL_ADD) /* the others transfer nothing */
        return next(fd, op, other, event);
    FAIL_OR(FAULT_EPOLL_CTL, fd, op, other, event);
}

SEEN int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    NEXT(epoll_wait);
    if (!fails(FAULT_EPOLL_WAIT, __builtin_return_address(0)))
        return next(fd, events, most, timeout);
    /* As in the kernel: events that are ready take precedence over a signal.
     * If a wake-up were never reported, somebody could wait for it in vain. */
    int ready = next(fd, events, most, 0);
    if (ready > 0)
        return ready;
    errno = atomic_load(&wanted_error);
    return -1;
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

SEEN int getsockname(int fd, struct sockaddr *restrict address,
                     socklen_t *restrict len)
{
    NEXT(getsockname);
    FAIL_OR(FAULT_SOCKNAME, fd, address, len);
}

SEEN int getpeername(int fd, struct sockaddr *restrict address,
                     socklen_t *restrict len)
{
    NEXT(getpeername);
    FAIL_OR(FAULT_SOCKNAME, fd, address, len);
}

SEEN ssize_t read(int fd, void *bytes, size_t len)
{
    NEXT(read);
    FAIL_OR(FAULT_READ, fd, bytes, len);
}

SEEN int getaddrinfo(const char *host, const char *port,
                     const struct addrinfo *hints, struct addrinfo **list)
{
    NEXT(getaddrinfo);
    if (fails(FAULT_GETADDRINFO, __builtin_return_address(0)))
        return atomic_load(&wanted_error);
    /* At their first use, glibc's name services assert() that there is memory
     * (nss_database.c): what follows from that is not ours to test. */
    bool before = exempted;
    exempted |= hints == NULL || (hints->ai_flags & AI_NUMERICHOST) == 0;
    int error = next(host, port, hints, list);
    exempted = before;
    return error;
}

#endif
