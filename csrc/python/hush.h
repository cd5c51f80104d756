/* Calls made while one of our own log records is handled. */

#ifndef JRC_PYTHON_HUSH_H
#define JRC_PYTHON_HUSH_H

#include "python/core.h"

/* How many threads are handling a log record of ours.  While there is one,
 * spd_quieten(on_result, on_error) returns the callbacks to use for a call;
 * jsonrpcc/_log.py says why. */
extern int spd_hushed;
extern PyObject *spd_quieten;

/* Functions of the module: hush(1), hush(-1) when the record is handled, and
 * set_quieten(function). */
PyObject *spd_hush(PyObject *module, PyObject *by);
PyObject *spd_set_quieten(PyObject *module, PyObject *function);

#endif
