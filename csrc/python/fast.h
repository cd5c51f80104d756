/* jsonrpcc._fast: what Python does for every call, in C.
 *
 * A part of the Python package that happens to be written in C: it calls the
 * core by its public functions, with the GIL held, and nothing of the core
 * calls it.  The usual arguments only: whatever is unusual, and every error,
 * is left to Python code that does the same at its leisure. */

#ifndef JRC_FAST_H
#define JRC_FAST_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "jsonrpcc.h"

#include <stdbool.h>
#include <stdint.h>

/* Functions of the one core in the process, which lives in another module. */
struct fast_core {
    int64_t (*queue_request)(jsonrpcc_queue *queue, uint64_t token,
                             const char *method, size_t method_len,
                             const char *params, size_t params_len,
                             int32_t timeout_ms, uint32_t flags);
    void (*cancel)(jsonrpcc_client *client, uint64_t id);
};

extern struct fast_core fast_core;

/* The keywords of a call, interned: callers' names are the same objects. */
struct fast_names {
    PyObject *params, *on_result, *on_error, *timeout, *idempotent,
        *wait_for_ready, *block;
};

extern struct fast_names fast_names;

/* A call as its caller gives it; texts are borrowed from objects. */
struct fast_arguments {
    PyObject *method, *params, *on_result, *on_error; /* NULL or None: none */
    int32_t timeout_ms;
    uint32_t flags;
    const char *method_text;
    Py_ssize_t method_len;
};

/* Read the arguments of a vectorcall, most positional ones at most.  False, and
 * no exception is set: they are unusual. */
bool fast_read_arguments(struct fast_arguments *arguments,
                         PyObject *const *args, Py_ssize_t n,
                         PyObject *kwnames, Py_ssize_t most);

/* Encoded params, as a new reference: Py_None for none.  NULL: they are
 * unusual, or an exception is set. */
PyObject *fast_encode(PyObject *encode, bool hides_nan, PyObject *params);

/* function(self, *args, **kwargs) for the arguments of a vectorcall. */
PyObject *fast_otherwise(PyObject *function, PyObject *self,
                         PyObject *const *args, Py_ssize_t n,
                         PyObject *kwnames);

/* The types: new references, or NULL. */
PyObject *fast_call_type(void);
PyObject *fast_callbacks_type(void);

/* A Call, its id still 0, and how to set it. */
PyObject *fast_call_new(PyObject *type, PyObject *handle,
                        jsonrpcc_client *client, PyObject *method);
void fast_call_set_id(PyObject *call, uint64_t id);

#endif
