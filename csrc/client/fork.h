/* fork(): which process this is, and what a child does with what it inherits.
 * By libc's own handlers, so that no fork() goes unseen, whoever calls it. */

#ifndef JRC_FORK_H
#define JRC_FORK_H

#include <stdbool.h>

/* Counts the forks between the first process and this one: what was made under
 * another number is another process's. */
unsigned jrc_fork_generation(void);

/* What something with locks and descriptors does around each fork(). */
struct jrc_fork_hooks {
    void (*lock)(void *arg);    /* before: let nothing be half done */
    void (*unlock)(void *arg);  /* after it, in both processes */
    void (*abandon)(void *arg); /* in the child, locked: close what is open,
                                   and touch nothing else */
};

/* A member of whatever that is. */
struct jrc_fork_watch {
    const struct jrc_fork_hooks *hooks;
    void *arg;
    struct jrc_fork_watch *next, *prev;
};

/* Have the hooks run around each fork() until unwatched.  A child starts
 * without any. */
void jrc_fork_watch(struct jrc_fork_watch *watch,
                    const struct jrc_fork_hooks *hooks, void *arg);
void jrc_fork_unwatch(struct jrc_fork_watch *watch);

/* Whether is(arg) is true of any that is watched.  It may take the locks that
 * their hooks take. */
bool jrc_fork_any(bool (*is)(void *arg));

/* Around the opening of something that is to be watched.  Held across fork(),
 * so that no child has descriptors that it does not know of, or finds another
 * process's thread in here. */
void jrc_fork_lock_opening(void);
void jrc_fork_unlock_opening(void);

#endif
