/* A client whose loop the shared event thread attends to, see shared_thread.h.
 *
 * While no thread leads, the loop may be watched: it counts as asleep and its
 * timer is set, so that whatever needs a turn makes its descriptor readable,
 * which the shared event thread waits for.  That is what a watchdog of its own
 * does by waiting inside the loop. */

#ifndef JRC_ATTENDED_H
#define JRC_ATTENDED_H

#include "client/core.h"

/* What an event of the shared epoll is of. */
struct jrc_attended_fd {
    struct jrc_attended *attended;
    bool is_alarm; /* the watchdog's; otherwise the loop */
};

struct jrc_attended {
    struct jrc_core *core; /* a reference */
    int epoll_fd;          /* of the shared event thread */
    struct jrc_attended_fd loop, alarm;

    /* Under the core's lock. */
    bool is_masked; /* the epoll does not tell of the loop, which another thread
                       leads */

    const struct jrc_shared_hooks *hooks;

    /* The shared event thread's. */
    bool has_ended;
    struct jrc_attended *next;

    unsigned refs; /* of that thread and others that poll, under its lock */
};

/* False: errno says why, and the epoll has neither of its descriptors. */
bool jrc_attended_add(struct jrc_attended *attended);
void jrc_attended_remove(struct jrc_attended *attended);

/* Call these under the core's lock. */

/* There is no leader: watch the loop from now on. */
void jrc_attended_watch(struct jrc_core *core);

/* Do not tell of the loop until it is watched again. */
void jrc_attended_mask(struct jrc_attended *attended);

#endif
