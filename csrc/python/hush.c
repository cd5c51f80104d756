#include "python/hush.h"

int spd_hushed;
PyObject *spd_quieten;

PyObject *spd_hush(PyObject *module, PyObject *by)
{
    long count = PyLong_AsLong(by);

    (void)module;
    if (count == -1 && PyErr_Occurred())
        return NULL;
    spd_hushed += (int)count;
    Py_RETURN_NONE;
}

/* set_quieten(function) */
PyObject *spd_set_quieten(PyObject *module, PyObject *function)
{
    PyObject *before = spd_quieten;

    (void)module;
    spd_quieten = Py_NewRef(function);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}
