/* The arguments of a call, as far as they are the usual ones. */

#include "python/module.h"

#include <math.h>
#include <string.h>

struct fast_names fast_names;

/* A bool as a flag.  False: it is something else that Python takes for one. */
bool fast_read_flag(PyObject *value, uint32_t flag, uint32_t *flags)
{
    if (value == Py_True)
        *flags |= flag;
    return value == Py_True || value == Py_False;
}

/* Seconds to milliseconds, rounded up, as jsonrpcc._options.milliseconds(). */
bool fast_read_timeout(PyObject *value, int32_t *ms)
{
    if (value == Py_None) {
        *ms = 0;
        return true;
    }
    if (!PyFloat_CheckExact(value))
        return false;
    double seconds = PyFloat_AsDouble(value);
    if (!(seconds > 0 && seconds <= INT32_MAX / 1000))
        return false;
    *ms = (int32_t)ceil(seconds * 1000);
    return true;
}

static bool read_keyword(struct fast_arguments *a, PyObject *name,
                         PyObject *value)
{
    if (name == fast_names.timeout)
        return fast_read_timeout(value, &a->timeout_ms);
    if (name == fast_names.idempotent)
        return fast_read_flag(value, JSONRPCC_IDEMPOTENT, &a->flags);
    if (name == fast_names.wait_for_ready)
        return fast_read_flag(value, JSONRPCC_WAIT_FOR_READY, &a->flags);
    if (name == fast_names.block)
        return value == Py_True;
    if (name == fast_names.on_result && a->on_result == NULL)
        a->on_result = value;
    else if (name == fast_names.on_error && a->on_error == NULL)
        a->on_error = value;
    else if (name == fast_names.params && a->params == NULL)
        a->params = value;
    else
        return false;
    return true;
}

bool fast_read_arguments(struct fast_arguments *a, PyObject *const *args,
                         Py_ssize_t n, PyObject *kwnames, Py_ssize_t most)
{
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_Size(kwnames);

    if (n < 1 || n > most || !PyUnicode_CheckExact(args[0]))
        return false;
    memset(a, 0, sizeof *a);
    a->method = args[0];
    a->params = n > 1 ? args[1] : NULL;
    a->on_result = n > 2 ? args[2] : NULL;
    a->on_error = n > 3 ? args[3] : NULL;
    for (Py_ssize_t i = 0; i < named; i++)
        if (!read_keyword(a, PyTuple_GetItem(kwnames, i), args[n + i]))
            return false;
    a->method_text = PyUnicode_AsUTF8AndSize(a->method, &a->method_len);
    if (a->method_text != NULL)
        return true;
    PyErr_Clear();
    return false;
}

int64_t fast_submit(jsonrpcc_queue *queue, const struct fast_arguments *a,
                    PyObject *text, uint64_t token, uint32_t flags)
{
    char *params = NULL;
    Py_ssize_t len = 0;

    if (text != Py_None)
        PyBytes_AsStringAndSize(text, &params, &len);
    return fast_core.queue_request(queue, token, a->method_text,
                                   (size_t)a->method_len, params, (size_t)len,
                                   a->timeout_ms, a->flags | flags);
}

PyObject *fast_otherwise(PyObject *function, PyObject *self,
                         PyObject *const *args, Py_ssize_t n, PyObject *kwnames)
{
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_Size(kwnames);
    Py_ssize_t first = self != NULL;
    PyObject *positional = PyTuple_New(first + n);
    PyObject *keywords = PyDict_New();
    PyObject *result = NULL;

    if (positional != NULL && keywords != NULL) {
        if (self != NULL)
            PyTuple_SetItem(positional, 0, Py_NewRef(self));
        for (Py_ssize_t i = 0; i < n; i++) {
            Py_INCREF(args[i]);
            PyTuple_SetItem(positional, first + i, args[i]);
        }
        Py_ssize_t i = 0;
        while (i < named &&
               PyDict_SetItem(keywords, PyTuple_GetItem(kwnames, i),
                              args[n + i]) == 0)
            i++;
        if (i == named)
            result = PyObject_Call(function, positional, keywords);
    }
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return result;
}
