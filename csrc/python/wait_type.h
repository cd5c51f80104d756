#ifndef JRC_PYTHON_WAIT_TYPE_H
#define JRC_PYTHON_WAIT_TYPE_H

#include "python/core.h"

/* jsonrpcc._speedups.Wait: a new reference, or NULL. */
PyObject *spd_wait_type(void);

#endif
