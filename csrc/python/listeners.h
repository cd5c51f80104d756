/* Who is called when something has ended: functions, each in its context. */

#ifndef JRC_PYTHON_LISTENERS_H
#define JRC_PYTHON_LISTENERS_H

#include "python/core.h"

/* Mostly there is one, for which nothing is allocated. */
struct spd_listeners {
    PyObject *function, *context; /* the first one; NULL: none */
    PyObject *more;               /* list of (function, context), or NULL */
};

static inline bool spd_listeners_any(const struct spd_listeners *self)
{
    return self->function != NULL || self->more != NULL;
}

/* False, or negative: an exception is set. */
bool spd_listeners_add(struct spd_listeners *self, PyObject *function,
                       PyObject *context);
long spd_listeners_remove(struct spd_listeners *self, PyObject *function);

/* Take out the first one, whose references go to the caller.  False: there is
 * none. */
bool spd_listeners_take(struct spd_listeners *self, PyObject **function,
                        PyObject **context);

/* Have call_soon(function, argument, context=context) called for each, once.
 * False: an exception is set, and those that are left remain. */
bool spd_listeners_call_soon(struct spd_listeners *self, PyObject *call_soon,
                             PyObject *argument);

int spd_listeners_visit(const struct spd_listeners *self, visitproc visit,
                        void *arg);
void spd_listeners_clear(struct spd_listeners *self);

#endif
