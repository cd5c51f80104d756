/* Makes calls of the C library fail on demand, in the program itself and in
 * all libraries that it uses: the executable's definitions of these functions
 * come before everybody else's.
 *
 * Counting is global; threads that are not under test exempt themselves.
 * Under TSan memory never fails: its runtime needs malloc() for itself. */

#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_MEMORY, /* malloc, calloc, realloc, reallocarray, strdup, strndup,
                     mmap */
    FAULT_SOCKET,
    FAULT_CONNECT,
    FAULT_SEND,
    FAULT_RECV,
    FAULT_SETSOCKOPT,
    FAULT_GETSOCKOPT,
    FAULT_EPOLL_CREATE,
    FAULT_EPOLL_CTL,
    FAULT_EPOLL_WAIT,
    FAULT_EVENTFD,
    FAULT_TIMERFD,
    FAULT_THREAD, /* pthread_create */
    FAULT_GETADDRINFO,
    FAULT_SOCKNAME, /* getsockname, getpeername */
    FAULT_READ,
    FAULT_KINDS
};

/* Instead of an errno: the call processes a single byte. */
enum { FAULT_SHORT = -1 };

extern const char *const fault_names[FAULT_KINDS];

/* From now on the n-th call of that kind fails (1 is the next), and with
 * for_ever all later ones, too.  If n is 0, none fails, and calls are only
 * counted. */
void fault_arm(enum fault_kind kind, unsigned n, bool for_ever);

/* What failing system calls set errno to, or return: getaddrinfo() an EAI_
 * code, pthread_create() an errno.  Set it before fault_arm(). */
void fault_error(int error);

/* Stop; returns how many calls were counted since fault_arm(). */
unsigned fault_disarm(void);

/* How many calls have failed since fault_arm(). */
unsigned fault_count(void);

/* How many different places in the code have called such functions while a
 * fault was armed, since the program began, and how many have seen a failure:
 * of memory, or of system calls. */
void fault_sites(bool memory, unsigned *seen, unsigned *hit);

/* Calls of this thread are neither counted nor made to fail. */
void fault_exempt(bool exempt);

/* In place of fault_arm(): all allocations of this thread fail, or no longer.
 * For a single call: what others allocate meanwhile is not their concern. */
void fault_no_memory_here(bool lacks);

/* For the simulator, in place of fault_arm(): allocations of this thread fail
 * with a probability of rate / 65536, decided by the seed. */
void fault_memory_rate(uint32_t rate, uint64_t seed);

/* Whether memory can be made to fail in this build. */
bool fault_has_memory(void);

#endif
