/* Types whose objects are called by a vectorcall. */

#ifndef JRC_PYTHON_VECTORCALL_H
#define JRC_PYTHON_VECTORCALL_H

#include "python/core.h"

/* Part of the stable ABI, and so in the headers, since 3.12; the same
 * before. */
#ifndef Py_TPFLAGS_HAVE_VECTORCALL
#define Py_TPFLAGS_HAVE_VECTORCALL (1UL << 11)
#endif

typedef PyObject *spd_vectorcall(PyObject *object, PyObject *const *args,
                                 size_t n, PyObject *kwnames);

/* The number of positional arguments in the n of a vectorcall. */
static inline Py_ssize_t spd_vectorcall_count(size_t n)
{
    return (Py_ssize_t)(n & ~((size_t)1 << (8 * sizeof(size_t) - 1)));
}

/* tp_call of such a type, for which Python uses the vectorcall, too. */
static inline PyObject *spd_vectorcall_call(PyObject *object, PyObject *args,
                                            PyObject *kwargs)
{
    return PyObject_Call(object, args, kwargs);
}

#endif
