/* fork(): which process this is, and what a child does with what it inherits.
 * libc's own handlers report every fork(), whichever code calls it. */

#ifndef JRC_FORK_H
#define JRC_FORK_H

#include <stdbool.h>
#include <sys/types.h> /* pthread_mutex_t, says POSIX */

/* The number of forks between the first process and this one.  Whatever was
 * created under another number belongs to another process. */
unsigned jrc_fork_generation(void);

/* What the owner of locks and descriptors does around each fork(). */
struct jrc_fork_hooks {
    void (*lock)(void *arg);    /* before it: leave nothing half done */
    void (*unlock)(void *arg);  /* after it, in both processes */
    void (*abandon)(void *arg); /* in the child, locked: close what is open,
                                   and touch nothing else */
};

/* To be embedded in the watched struct. */
struct jrc_fork_watch {
    const struct jrc_fork_hooks *hooks;
    void *arg;
    struct jrc_fork_watch *next, *prev;
};

/* Run the hooks around each fork(), until unwatched.  A child starts without
 * any. */
void jrc_fork_watch(struct jrc_fork_watch *watch,
                    const struct jrc_fork_hooks *hooks, void *arg);
void jrc_fork_unwatch(struct jrc_fork_watch *watch);

/* A lock that is taken under those of others, of something that there is once.
 * The child abandons that with the lock held. */
struct jrc_fork_inner {
    pthread_mutex_t *lock;
    void (*abandon)(void); /* NULL: nothing to do */
    struct jrc_fork_inner *next;
};

/* Take it around each fork(), for good: call this when the library is loaded. A
 * child keeps it. */
void jrc_fork_watch_inner(struct jrc_fork_inner *inner);

/* How many are watched in this process, without the inner ones. */
unsigned jrc_fork_count(void);

/* Whether is(arg) holds for anything that is watched.  is() may take the locks
 * that the hooks take. */
bool jrc_fork_any(bool (*is)(void *arg));

/* Call these around opening something that will be watched.  The lock is held
 * across fork(), so that no child has descriptors that it does not know of, or
 * inherits the lock from a thread that does not exist there. */
void jrc_fork_lock_opening(void);
void jrc_fork_unlock_opening(void);

#endif
