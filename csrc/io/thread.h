/* Our threads: detached, with all signals blocked, and safe from dlclose(). */

#ifndef JRC_THREAD_H
#define JRC_THREAD_H

#include <stddef.h>

/* Run fn(arg) on a new thread with at least stack bytes for what fn calls (0:
 * the system's default).  Returns 0 or an errno: EAGAIN if no more threads are
 * allowed, or ENOMEM.
 *
 * All signals stay with the program's threads.  From the first thread on,
 * dlclose() does not unmap the object that contains this code. */
int jrc_thread_start(void *(*fn)(void *arg), void *arg, size_t stack);

#endif
