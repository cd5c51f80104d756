/* jsonrpcc._speedups.AsyncClient: the base of AsyncClient, with its call(). */

#ifndef JRC_PYTHON_ASYNC_CLIENT_H
#define JRC_PYTHON_ASYNC_CLIENT_H

#include "python/core.h"

/* The type: a new reference, or NULL. */
PyObject *spd_async_client_type(void);

#endif
