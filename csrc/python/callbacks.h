/* jsonrpcc._speedups.Callbacks: calls whose outcomes go to callbacks. */

#ifndef JRC_PYTHON_CALLBACKS_H
#define JRC_PYTHON_CALLBACKS_H

#include "python/core.h"

/* jsonrpcc.Client.request() and notification(). read is that of spd_read(); the
 * client is the first argument.  NULL without an exception: the object belongs
 * to the process that forked this one, and nothing was submitted. */
PyObject *spd_request(PyObject *callbacks, PyObject *read,
                      PyObject *const *args, Py_ssize_t n, PyObject *kwnames);
PyObject *spd_notification(PyObject *callbacks, PyObject *read,
                           PyObject *const *args, Py_ssize_t n,
                           PyObject *kwnames);

/* The type: a new reference, or NULL. */
PyObject *spd_callbacks_type(void);

#endif
