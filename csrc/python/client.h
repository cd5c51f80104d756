/* jsonrpcc._speedups.Client: the methods on the path of every call. */

#ifndef JRC_PYTHON_CLIENT_H
#define JRC_PYTHON_CLIENT_H

#include "python/core.h"

/* A function of the module: see client.c. */
PyObject *spd_assign(PyObject *module, PyObject *args);

/* The type: a new reference, or NULL. */
PyObject *spd_client_type(void);

#endif
