/* A client in a crew, as the client sees it: how it has the crew lead, and how
 * it tells the crew that there is something to fetch.
 *
 * A client never takes the crew's lock.  What it tells goes onto a list that
 * needs none, and wakes the crew by a descriptor. */

#ifndef JRC_MEMBER_H
#define JRC_MEMBER_H

#include "client/crew.h"

/* Call all of these under the core's lock. */

/* Nobody leads: let the crew, from now on.  now: there may be something to do
 * already. */
void jrc_member_watch(struct jrc_core *core, bool now);

/* A thread leads, so the crew has nothing to do. */
static inline void jrc_member_unwatch(struct jrc_core *core)
{
    if (core->leadership.member != NULL)
        core->leadership.member->is_watched = false;
}

/* Nobody leads, and something was submitted.  Returns whether to call
 * jrc_loop_wake(). */
bool jrc_member_wake(struct jrc_core *core);

/* There is something to fetch, or there will be nothing any more. */
void jrc_member_tell(struct jrc_member *member);

/* Have the crew's epoll watch the loop, or not any more.  False: errno says
 * why. */
bool jrc_member_poll(struct jrc_member *member);
void jrc_member_unpoll(struct jrc_member *member);

/* Do not report the loop's events until jrc_member_watch(). */
void jrc_member_mask(struct jrc_member *member);

#endif
