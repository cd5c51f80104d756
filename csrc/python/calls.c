#include "python/module.h"

bool fast_calls_init(struct fast_calls *calls, PyObject *client,
                     PyObject *queue, PyObject *handle, PyObject *keep,
                     PyObject *codec, PyObject *refuse)
{
    if (!fast_codec_read(&calls->codec, codec))
        return false;
    calls->client = PyLong_AsVoidPtr(client);
    calls->queue = PyLong_AsVoidPtr(queue);
    calls->handle = Py_NewRef(handle);
    calls->keep = Py_NewRef(keep);
    calls->refuse = Py_NewRef(refuse);
    fast_entries_init(&calls->entries);
    return true;
}

int fast_calls_visit(const struct fast_calls *calls, visitproc visit, void *arg)
{
    Py_VISIT(calls->handle);
    Py_VISIT(calls->keep);
    Py_VISIT(calls->refuse);
    if (fast_codec_visit(&calls->codec, visit, arg) != 0)
        return -1;
    return fast_entries_visit(&calls->entries, visit, arg);
}

void fast_calls_clear(struct fast_calls *calls)
{
    fast_entries_clear(&calls->entries);
    fast_codec_clear(&calls->codec);
    Py_CLEAR(calls->refuse);
    /* Last, and the queue before its client. */
    Py_CLEAR(calls->keep);
    Py_CLEAR(calls->handle);
}

bool fast_calls_get(const struct fast_calls *calls, PyObject *token,
                    struct fast_entry *entry)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(token);

    if (PyErr_Occurred())
        return false;
    fast_entries_get(&calls->entries, number, entry);
    return true;
}

PyObject *fast_calls_discard(struct fast_calls *calls, PyObject *token)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(token);

    if (PyErr_Occurred())
        return NULL;
    fast_entries_discard(&calls->entries, number);
    Py_RETURN_NONE;
}

void fast_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    inquiry clear = (inquiry)PyType_GetSlot(type, Py_tp_clear);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    clear(object);
    release(object);
    Py_DECREF(type);
}
