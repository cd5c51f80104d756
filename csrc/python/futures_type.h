/* jsonrpcc._speedups.Futures: calls whose outcomes go to futures of an event
 * loop. */

#ifndef JRC_PYTHON_FUTURES_TYPE_H
#define JRC_PYTHON_FUTURES_TYPE_H

#include "python/core.h"

/* The type: a new reference, or NULL. */
PyObject *spd_futures_type(void);

#endif
