/* jsonrpcc._speedups.Blocking: calls whose callers wait. */

#ifndef JRC_PYTHON_BLOCKING_H
#define JRC_PYTHON_BLOCKING_H

#include "python/core.h"

/* jsonrpcc.Client.call(), with read as of spd_read() and the client as the
 * first argument.  NULL without an exception: as of spd_request(). */
PyObject *spd_call(PyObject *blocking, PyObject *read, PyObject *const *args,
                   Py_ssize_t n, PyObject *kwnames);

/* The type: a new reference, or NULL. */
PyObject *spd_blocking_type(void);

#endif
