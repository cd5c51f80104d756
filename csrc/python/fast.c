/* jsonrpcc._fast: submit a call without giving up the GIL.
 *
 * cffi drops the GIL around every call.  Submitting takes a tenth of a
 * microsecond and waits for no thread that could want the GIL (the C threads
 * never enter Python), so dropping it only invites another thread to take it,
 * and then the submitter waits for it again: with eight threads that cost more
 * than all the rest.  This module is nothing but that one call. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "jsonrpcc.h"

#include <stdint.h>

/* jsonrpcc_queue_request() of the one core in the process, which lives in
 * another module. */
static int64_t (*queue_request)(jsonrpcc_queue *, uint64_t, const char *,
                                size_t, const char *, size_t, int32_t,
                                uint32_t);

static PyObject *bind(PyObject *module, PyObject *address)
{
    void *pointer = PyLong_AsVoidPtr(address);

    (void)module;
    if (pointer == NULL && PyErr_Occurred())
        return NULL;
    *(void **)&queue_request = pointer;
    Py_RETURN_NONE;
}

/* request(queue's address, token, method, params or None, ms, flags) */
static PyObject *request(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    char *method;
    char *params = NULL;
    Py_ssize_t method_len;
    Py_ssize_t params_len = 0;

    (void)module;
    if (n != 6 || queue_request == NULL) {
        PyErr_SetString(PyExc_TypeError, "request() takes 6 arguments");
        return NULL;
    }
    jsonrpcc_queue *queue = PyLong_AsVoidPtr(args[0]);
    uint64_t token = PyLong_AsUnsignedLongLong(args[1]);
    long ms = PyLong_AsLong(args[4]);
    unsigned long flags = PyLong_AsUnsignedLong(args[5]);
    if (PyErr_Occurred() ||
        PyBytes_AsStringAndSize(args[2], &method, &method_len) != 0 ||
        (args[3] != Py_None &&
         PyBytes_AsStringAndSize(args[3], &params, &params_len) != 0))
        return NULL;
    return PyLong_FromLongLong(
        queue_request(queue, token, method, (size_t)method_len, params,
                      (size_t)params_len, (int32_t)ms, (uint32_t)flags));
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_O, "Set the address of jsonrpcc_queue_request()."},
    {"request", (PyCFunction)(void (*)(void))request, METH_FASTCALL,
     "jsonrpcc_queue_request(), with the GIL held."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "jsonrpcc._fast",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__fast(void)
{
    return PyModule_Create(&definition);
}
