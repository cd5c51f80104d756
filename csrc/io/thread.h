/* Threads of ours: detached, deaf to signals, and never without their code. */

#ifndef JRC_THREAD_H
#define JRC_THREAD_H

#include <stddef.h>

/* Run fn(arg) on a new thread with at least stack bytes for what fn calls; 0:
 * as many as the system gives.  0 or an errno: EAGAIN, when there may be no
 * more threads, or ENOMEM.
 *
 * All signals stay with the host's threads.  From the first thread on dlclose()
 * does not unmap the object that this code is in. */
int jrc_thread_start(void *(*fn)(void *arg), void *arg, size_t stack);

#endif
