/* The event thread that all clients with JSONRPCC_SHARED_THREAD share.
 *
 * An event thread of its own waits in its client's loop.  This one waits for
 * all of theirs: its epoll contains each loop's descriptor and each watchdog's
 * alarm.  It takes one turn of a loop that has something to do, and never waits
 * in one.  All other threads lead as they do without it: see leader.h.
 *
 * A crew's thread that has nothing more to deliver polls in its place: what it
 * reads, it delivers next, so no thread has to be woken for that, and memory
 * stays in one processor's caches.  As long as it does so, this one stays away.
 *
 * It exists while such a client does. */

#ifndef JRC_SHARED_THREAD_H
#define JRC_SHARED_THREAD_H

#include "client/core.h"

/* Of every event thread: jsonrpcc.h promises 1 MiB to callbacks; the rest is
 * for what calls them. Pages that are never touched cost nothing.  A larger
 * stack would: the kernel may back one of 2 MiB with a huge page, all of which
 * counts. */
enum { JRC_EVENT_STACK = 1024 * 1024 + 128 * 1024 };

enum jrc_polled {
    JRC_POLLED_NOTHING,
    JRC_POLLED_SOME,  /* turns were taken */
    JRC_POLLED_FORKED /* a callback forked, and this is the child */
};

struct jrc_shared_hooks {
    /* On the shared event thread, as the last leader: the client is closing and
     * every outcome is delivered.  Gives back the thread's reference.  False: a
     * callback forked, and this is the child. */
    bool (*finish)(struct jrc_core *core);
    void (*unref)(struct jrc_core *core); /* of one that polls */
};

/* Have the shared event thread attend to the core, of which it owns a reference
 * from now on.  Call this where something is opened, see
 * jrc_fork_lock_opening().  0 or an errno. */
int jrc_shared_join(struct jrc_core *core,
                    const struct jrc_shared_hooks *hooks);

/* By a crew's thread that delivers, and will poll: leave the loops to it. */
void jrc_shared_will_poll(void);

/* By a crew's thread: take a turn of each loop that has something to do,
 * without waiting.  Nothing: the shared event thread takes care of them from
 * now on. */
enum jrc_polled jrc_shared_poll(void);

#endif
