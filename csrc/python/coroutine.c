#include "python/coroutine.h"

PyObject *spd_step(PyObject *object, PyObject *value, spd_send *send)
{
    PyObject *result = NULL;

    if (send(object, value, &result) != PYGEN_RETURN)
        return result;
    /* PyErr_SetObject() alone would unpack a tuple. */
    PyObject *stop =
        PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL);
    Py_DECREF(result);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

PyObject *spd_raise(PyObject *args)
{
    PyObject *type, *value = NULL, *traceback = NULL;

    if (!PyArg_ParseTuple(args, "O|OO", &type, &value, &traceback))
        return NULL;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    else if (PyExceptionClass_Check(type))
        PyErr_SetObject(type, value);
    else
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
    return NULL;
}
