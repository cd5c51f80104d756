/* libevent's base, created without a risk for the process. */

#ifndef JRC_EVENT_BASE_H
#define JRC_EVENT_BASE_H

#include <event2/event.h>

/* NULL: errno says why, and no descriptor is left. */
struct event_base *jrc_event_base_new(void);

/* libevent does not reveal its epoll descriptor.  This finds the one that
 * watches fd, if only an event for reading fd has been added to a base.  -1:
 * there is none. */
int jrc_event_base_fd(int fd);

/* The pipe that libevent has opened for signals, of which we have none; -1: it
 * is not found. */
void jrc_event_base_pipe(const struct event_base *base, int ends[2]);

/* Like event_add() without a timeout, but logs nothing.  0 or an errno. */
int jrc_event_add(struct event *event);

#endif
