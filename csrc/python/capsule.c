/* jsonrpcc._capsule: the table of functions as a PyCapsule, and the only
 * function in it that knows Python.  The table itself is next to the core, in
 * another module, which passes its address. */

#include <pyconfig.h>
#ifndef Py_GIL_DISABLED /* the free-threaded ABI has no limited API (yet) */
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>

#include "python/jsonrpcc_capi.h"

/* A callable that returns the address of a Python client, or raises. */
static PyObject *address_of;

static jsonrpcc_client *client_from_object(PyObject *object)
{
    PyObject *address = PyObject_CallFunctionObjArgs(address_of, object, NULL);

    if (address == NULL)
        return NULL;
    jsonrpcc_client *client = PyLong_AsVoidPtr(address);
    Py_DECREF(address);
    return client;
}

/* capsule(the table's address, address_of) */
static PyObject *capsule(PyObject *module, PyObject *args)
{
    PyObject *address, *callable;

    (void)module;
    if (!PyArg_ParseTuple(args, "O!O", &PyLong_Type, &address, &callable))
        return NULL;
    jsonrpcc_capi *table = PyLong_AsVoidPtr(address);
    if (table == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the table's address is 0");
        return NULL;
    }
    Py_INCREF(callable);
    Py_XDECREF(address_of);
    address_of = callable;
    table->client_from_object = client_from_object;
    return PyCapsule_New(table, "jsonrpcc._capi", NULL);
}

static PyMethodDef methods[] = {
    {"capsule", capsule, METH_VARARGS, "Make the capsule jsonrpcc._capi."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "jsonrpcc._capsule",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__capsule(void)
{
    PyObject *module = PyModule_Create(&definition);

#ifdef Py_GIL_DISABLED
    if (module != NULL)
        PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    return module;
}
