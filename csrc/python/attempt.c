#include "python/attempt.h"

PyObject *spd_take_exception(void)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

PyObject *spd_attempt(PyObject *module, PyObject *args)
{
    PyObject *function, *argument, *guarded = PyExc_Exception;

    (void)module;
    if (!PyArg_UnpackTuple(args, "attempt", 2, 3, &function, &argument,
                           &guarded))
        return NULL;
    PyObject *result = PyObject_CallFunctionObjArgs(function, argument, NULL);
    if (result != NULL)
        return Py_BuildValue("(NO)", result, Py_None);
    if (!PyErr_ExceptionMatches(guarded))
        return NULL;
    PyObject *exception = spd_take_exception();
    return exception == NULL ? NULL : Py_BuildValue("(ON)", Py_None, exception);
}
