/* jsonrpcc._speedups.Ordered: the outcomes of a bulk of calls, in order. */

#ifndef JRC_PYTHON_ORDERED_H
#define JRC_PYTHON_ORDERED_H

#include "python/core.h"

/* A function of the module: see ordered.c. */
PyObject *spd_take(PyObject *module, PyObject *args);

/* The type: a new reference, or NULL. */
PyObject *spd_ordered_type(void);

#endif
