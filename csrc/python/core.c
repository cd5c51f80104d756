#include "python/core.h"

const jsonrpcc_capi *spd_core;

/* bind(address of the table of the core's functions) */
PyObject *spd_bind(PyObject *module, PyObject *address)
{
    const jsonrpcc_capi *table = PyLong_AsVoidPtr(address);

    (void)module;
    if (table == NULL && PyErr_Occurred())
        return NULL;
    if (table == NULL || table->size < sizeof *table) {
        PyErr_SetString(PyExc_ValueError, "not the table of this version");
        return NULL;
    }
    spd_core = table;
    Py_RETURN_NONE;
}
