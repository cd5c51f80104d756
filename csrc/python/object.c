#include "python/object.h"

int spd_visit_owned(const void *self, const size_t *owned, size_t count,
                    visitproc visit, void *arg)
{
    for (size_t i = 0; i < count; i++)
        Py_VISIT(*(PyObject *const *)((const char *)self + owned[i]));
    return 0;
}

void spd_clear_owned(void *self, const size_t *owned, size_t count)
{
    for (size_t i = 0; i < count; i++)
        Py_CLEAR(*(PyObject **)((char *)self + owned[i]));
}

void spd_dealloc_base(PyObject *object, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    clear(object);
    release(object);
    Py_DECREF(type);
}

void spd_dealloc(PyObject *object)
{
    spd_dealloc_base(object,
                     (inquiry)PyType_GetSlot(Py_TYPE(object), Py_tp_clear));
}

PyObject *spd_getattro(PyObject *object, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(object, name);

    if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError) ||
        PyUnicode_CompareWithASCIIString(name, "_missing") == 0)
        return found;
    PyErr_Clear();
    return PyObject_CallMethod(object, "_missing", "O", name);
}
