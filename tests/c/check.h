/* The whole test framework: CHECK(), and check_done() as main()'s last word. */
#ifndef JRC_CHECK_H
#define JRC_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Callbacks check, too, on whatever thread they run. */
static atomic_uint check_count, check_failures;

/* Count a check; say file, line and the condition if it fails, and go on. */
#define CHECK(condition) \
    check_one((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

/* True if ok, so that a test can say more: if (!CHECK(...)) printf(...). */
static inline int check_one(int ok, const char *file, int line,
                            const char *condition)
{
    check_count++;
    if (!ok) {
        check_failures++;
        printf("%s:%d: %s\n", file, line, condition);
    }
    return ok;
}

void __gcov_dump(void) __attribute__((weak));

/* _exit() in a forked child, whose coverage counts too. */
__attribute__((noreturn)) static inline void check_exit(int status)
{
    if (__gcov_dump != NULL)
        __gcov_dump();
    _exit(status);
}

/* Whether a child of a busy program can work at all.  Under ASan, malloc()'s
 * lock stays held if another thread held it at the fork, and TSan does not
 * support threads in such a child.  So tests/packaging/test_c_forks.py runs
 * each program that asks this without them, too. */
static inline bool check_may_fork(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    printf("skipped: children hang in the sanitizer\n");
    return false;
#else
    return true;
#endif
}

/* Print the score; the program's exit status. */
static inline int check_done(void)
{
    printf("%u checks, %u failed\n", check_count, check_failures);
    return check_failures != 0;
}

#endif
