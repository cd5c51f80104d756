#include "python/object.h"

void spd_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    inquiry clear = (inquiry)PyType_GetSlot(type, Py_tp_clear);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    clear(object);
    release(object);
    Py_DECREF(type);
}
