/* What our types share that behave like a coroutine. */

#ifndef JRC_PYTHON_COROUTINE_H
#define JRC_PYTHON_COROUTINE_H

#include "python/core.h"

/* A type's am_send. */
typedef PySendResult spd_send(PyObject *object, PyObject *value,
                              PyObject **result);

/* Its tp_iternext and send(): StopIteration is raised with what that
 * returns. */
PyObject *spd_step(PyObject *object, PyObject *value, spd_send *send);

/* Raise what throw(type[, value[, traceback]]) is given.  Always NULL. */
PyObject *spd_raise(PyObject *args);

#endif
