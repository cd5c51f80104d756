/* jsonrpcc._speedups.Method: a method of a client, as fast as C code is. */

#ifndef JRC_PYTHON_METHOD_H
#define JRC_PYTHON_METHOD_H

#include "python/core.h"

/* Called with the arguments of a vectorcall, the client the first of them. */
typedef PyObject *spd_vectorcall(PyObject *method, PyObject *const *args,
                                 size_t n, PyObject *kwnames);

struct spd_method {
    PyObject_HEAD spd_vectorcall *call;
    PyObject *function;    /* that it is to everybody who looks */
    PyObject *bound_type;  /* types.MethodType */
    PyObject *client_type; /* the base class of those that have it */
};

/* NULL: an exception is set. */
PyObject *spd_method_new(spd_vectorcall *call, PyObject *client_type,
                         PyObject *function, PyObject *bound_type);

/* The number of positional arguments in the n of a vectorcall. */
Py_ssize_t spd_method_count(size_t n);

/* Whether the first of so many arguments is such a client. */
bool spd_method_fits(const struct spd_method *method, PyObject *const *args,
                     Py_ssize_t count);

/* The type: a new reference, or NULL. */
PyObject *spd_method_type(void);

#endif
