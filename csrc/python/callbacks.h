/* jsonrpcc._speedups.Callbacks: calls whose outcomes go to callbacks. */

#ifndef JRC_PYTHON_CALLBACKS_H
#define JRC_PYTHON_CALLBACKS_H

#include "python/core.h"

/* jsonrpcc.Client.request() and notification(), with read as of spd_read() and
 * the client as the first argument.  NULL without an exception: the object
 * belongs to another process, which has forked since, and nothing was
 * submitted. */
PyObject *spd_request(PyObject *callbacks, PyObject *read,
                      PyObject *const *args, Py_ssize_t n, PyObject *kwnames);
PyObject *spd_notification(PyObject *callbacks, PyObject *read,
                           PyObject *const *args, Py_ssize_t n,
                           PyObject *kwnames);

/* The type: a new reference, or NULL. */
PyObject *spd_callbacks_type(void);

#endif
