/* jsonrpcc._speedups.Blocking: calls whose callers wait. */

#ifndef JRC_PYTHON_BLOCKING_H
#define JRC_PYTHON_BLOCKING_H

#include "python/core.h"

/* jsonrpcc.Client.call(). read is that of spd_read(); the client is the first
 * argument.  NULL without an exception means the same as for spd_request(). */
PyObject *spd_call(PyObject *blocking, PyObject *read, PyObject *const *args,
                   Py_ssize_t n, PyObject *kwnames);

/* The type: a new reference, or NULL. */
PyObject *spd_blocking_type(void);

#endif
