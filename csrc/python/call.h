/* jsonrpcc.Call: a request in flight, as the caller holds it. */

#ifndef JRC_PYTHON_CALL_H
#define JRC_PYTHON_CALL_H

#include "python/core.h"

/* The type: a new reference, or NULL. */
PyObject *spd_call_type(void);

/* A Call whose id is still 0, and how to set it. */
PyObject *spd_call_new(PyObject *type, PyObject *handle,
                       jsonrpcc_client *client, PyObject *method);
void spd_call_set_id(PyObject *call, uint64_t id);

#endif
