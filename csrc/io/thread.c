/* It is not possible to wait for all of our threads: free() never blocks, one
 * of them may call close(), and a lookup may hang in getaddrinfo() for minutes.
 * So a thread may outlive the dlclose() of the object (library or plugin) that
 * holds its code, and that object stays mapped from the first thread on, as in
 * other libraries with threads.  We tried to let go of it when the last thread
 * ends, through a dlclose() that libc calls after our code has returned: but
 * then it can be unmapped at any time, even under a fork() that runs our
 * handlers. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr1() */
#endif

#include "io/thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 0 or ENOMEM.  The program itself is never unmapped, and musl unmaps
 * nothing. */
static int keep_mapped(void)
{
#ifdef __GLIBC__
    static atomic_bool done;
    struct link_map *map = NULL;
    Dl_info info;

    if (atomic_load_explicit(&done, memory_order_relaxed))
        return 0;
    if (dladdr1((void *)(uintptr_t)keep_mapped, &info, (void **)&map,
                RTLD_DL_LINKMAP) != 0 &&
        map->l_name[0] != '\0' &&
        dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == NULL)
        return ENOMEM;
    atomic_store_explicit(&done, true, memory_order_relaxed);
#endif
    return 0;
}

/* glibc takes the program's thread-local storage from each thread's stack.  A
 * function says how much that is, but it is private, and linking it would tie
 * us to one version of glibc. */
static size_t stack_size(const pthread_attr_t *attr, size_t wanted)
{
    size_t (*least_stack)(const pthread_attr_t *) = NULL;

    *(void **)&least_stack = dlsym(NULL, "__pthread_get_minstack");
    size_t least =
        least_stack != NULL ? least_stack(attr) : (size_t)PTHREAD_STACK_MIN;

    return (wanted + least + 65535) / 65536 * 65536; /* in whole pages */
}

int jrc_thread_start(void *(*fn)(void *arg), void *arg, size_t stack)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int error = keep_mapped();

    if (error != 0 || (error = pthread_attr_init(&attr)) != 0)
        return error;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (stack > 0)
        pthread_attr_setstacksize(&attr, stack_size(&attr, stack));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&thread, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return error;
}
