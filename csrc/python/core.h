/* What all of jsonrpcc._speedups uses: Python, and the one core.
 *
 * It is a part of the Python package that is written in C because it runs for
 * every call.  It calls the core's public functions with the GIL held, and the
 * core never calls it.  It handles the usual arguments only: anything unusual,
 * and every error, is left to Python code that does the same more slowly. */

#ifndef JRC_PYTHON_CORE_H
#define JRC_PYTHON_CORE_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "python/jsonrpcc_capi.h"

#include <stdbool.h>
#include <stdint.h>

/* Functions of the one core in the process, which is in another module. */
extern const jsonrpcc_capi *spd_core;

/* A wait consists of slices, and Ctrl-C is checked between two of them. */
enum { SPD_SLICE_MS = 100 };

/* A function of the module. */
PyObject *spd_bind(PyObject *module, PyObject *address);

#endif
