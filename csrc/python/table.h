/* The one table of functions, which _jsonrpcc passes to capsule.c. */

#ifndef JRC_PYTHON_TABLE_H
#define JRC_PYTHON_TABLE_H

#include "python/jsonrpcc_capi.h"

/* For the life of the process. */
jsonrpcc_capi *jrc_capi(void);

#endif
