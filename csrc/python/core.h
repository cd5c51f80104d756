/* What all of jsonrpcc._speedups stands on: Python, and the one core.
 *
 * A part of the Python package that happens to be written in C, what Python
 * does for every call: it calls the core by its public functions, with the GIL
 * held, and nothing of the core calls it.  The usual arguments only: whatever
 * is unusual, and every error, is left to Python code that does the same at its
 * leisure. */

#ifndef JRC_PYTHON_CORE_H
#define JRC_PYTHON_CORE_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "python/jsonrpcc_capi.h"

#include <stdbool.h>
#include <stdint.h>

/* Functions of the one core in the process, which lives in another module. */
extern const jsonrpcc_capi *spd_core;

/* Ctrl-C is seen between two slices of a wait. */
enum { SPD_SLICE_MS = 100 };

/* A function of the module. */
PyObject *spd_bind(PyObject *module, PyObject *address);

#endif
