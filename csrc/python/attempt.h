/* jsonrpcc._speedups.attempt(): calls a function whose exception is a value. */

#ifndef JRC_PYTHON_ATTEMPT_H
#define JRC_PYTHON_ATTEMPT_H

#include "python/core.h"

/* The exception that is set, with its traceback, as a new reference; it is no
 * longer set then. */
PyObject *spd_take_exception(void);

/* A function of the module: attempt(function, argument, guarded=Exception) ->
 * (result, None), or (None, exception) if the function raised a guarded one.
 *
 * A try statement would also catch what a signal handler raises between its
 * lines, and take that for the function's.  Here nothing else runs: if the
 * function is written in C and runs no Python code, the exception is its own.
 * Any other exception is raised. */
PyObject *spd_attempt(PyObject *module, PyObject *args);

#endif
