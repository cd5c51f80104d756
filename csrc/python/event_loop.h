/* An event loop like asyncio's, as far as Futures use it. */

#ifndef JRC_PYTHON_EVENT_LOOP_H
#define JRC_PYTHON_EVENT_LOOP_H

#include "python/core.h"

struct spd_event_loop {
    PyObject *object, *get_running_loop;
    PyObject *create_future, *call_soon, *is_running; /* its methods */
    unsigned long thread;                             /* where it ran last */
};

/* False: an exception is set, and there is nothing to clear. */
bool spd_event_loop_init(struct spd_event_loop *self, PyObject *object,
                         PyObject *get_running_loop);
int spd_event_loop_visit(const struct spd_event_loop *self, visitproc visit,
                         void *arg);
void spd_event_loop_clear(struct spd_event_loop *self);

/* Have it call an object's method, which is kept in *method, in its next turn.
 * False: an exception is set. */
bool spd_event_loop_call_soon(const struct spd_event_loop *self,
                              PyObject *object, PyObject **method,
                              const char *name);

/* Whether it is the loop that runs in this thread; if not, an exception is set.
 *
 * To ask which loop is running costs a system call.  But once it was this one,
 * another loop of this thread runs only if this one has stopped, so within the
 * same turn that is all we ask. */
bool spd_event_loop_is_here(struct spd_event_loop *self, bool same_turn);

#endif
