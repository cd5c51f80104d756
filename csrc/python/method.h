/* jsonrpcc._speedups.Method: AsyncClient.call(), as fast as C code is; and
 * jsonrpcc._speedups.AsyncClient, which it looks into. */

#ifndef JRC_PYTHON_METHOD_H
#define JRC_PYTHON_METHOD_H

#include "python/core.h"

/* The types: new references, or NULL. */
PyObject *spd_method_type(void);
PyObject *spd_async_client_type(void);

#endif
