/* jsonrpcc._speedups.Method: a client's method that looks like Python and runs
 * as C. */

#ifndef JRC_PYTHON_METHOD_H
#define JRC_PYTHON_METHOD_H

#include "python/vectorcall.h"

struct spd_method {
    PyObject_HEAD spd_vectorcall *call; /* with the client as first argument */
    PyObject *function;                 /* what it looks like */
    PyObject *bound_type;               /* types.MethodType */
    PyObject *client_type; /* the base class of the clients that have it */
};

/* NULL: an exception is set. */
PyObject *spd_method_new(spd_vectorcall *call, PyObject *client_type,
                         PyObject *function, PyObject *bound_type);

/* Whether there is a first argument, and it is such a client. */
bool spd_method_fits(const struct spd_method *method, PyObject *const *args,
                     Py_ssize_t count);

/* The type: a new reference, or NULL. */
PyObject *spd_method_type(void);

#endif
