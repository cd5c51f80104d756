#include "python/listeners.h"

#include "python/object.h"

#include <stddef.h>

static const size_t owned[] = {
    offsetof(struct spd_listeners, function),
    offsetof(struct spd_listeners, context),
    offsetof(struct spd_listeners, more),
};

bool spd_listeners_add(struct spd_listeners *self, PyObject *function,
                       PyObject *context)
{
    if (!spd_listeners_any(self)) {
        self->function = Py_NewRef(function);
        self->context = Py_NewRef(context);
        return true;
    }
    if (self->more == NULL)
        self->more = PyList_New(0);
    PyObject *pair =
        self->more == NULL ? NULL : PyTuple_Pack(2, function, context);
    bool added = pair != NULL && PyList_Append(self->more, pair) == 0;
    Py_XDECREF(pair);
    return added;
}

bool spd_listeners_take(struct spd_listeners *self, PyObject **function,
                        PyObject **context)
{
    *function = self->function;
    *context = self->context;
    self->function = self->context = NULL;
    if (*function != NULL)
        return true;
    if (self->more == NULL || PyList_Size(self->more) == 0) {
        Py_CLEAR(self->more);
        return false;
    }
    PyObject *pair = PyList_GetItem(self->more, 0);
    *function = Py_NewRef(PyTuple_GetItem(pair, 0));
    *context = Py_NewRef(PyTuple_GetItem(pair, 1));
    PyList_SetSlice(self->more, 0, 1, NULL);
    return true;
}

long spd_listeners_remove(struct spd_listeners *self, PyObject *function)
{
    struct spd_listeners kept = {NULL, NULL, NULL};
    PyObject *each, *context;
    long removed = 0;

    while (removed >= 0 && spd_listeners_take(self, &each, &context)) {
        int same = PyObject_RichCompareBool(each, function, Py_EQ);
        if (same < 0 || (same == 0 && !spd_listeners_add(&kept, each, context)))
            removed = -1;
        removed += same > 0;
        Py_DECREF(each);
        Py_DECREF(context);
    }
    spd_listeners_clear(self);
    *self = kept;
    return removed;
}

static bool call_soon_one(PyObject *call_soon, PyObject *function,
                          PyObject *context, PyObject *argument)
{
    PyObject *args = PyTuple_Pack(2, function, argument);
    PyObject *kwargs = Py_BuildValue("{sO}", "context", context);
    PyObject *handle = args == NULL || kwargs == NULL
                           ? NULL
                           : PyObject_Call(call_soon, args, kwargs);

    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(handle);
    return handle != NULL;
}

bool spd_listeners_call_soon(struct spd_listeners *self, PyObject *call_soon,
                             PyObject *argument)
{
    PyObject *function, *context;

    while (spd_listeners_take(self, &function, &context)) {
        if (!call_soon_one(call_soon, function, context, argument)) {
            self->function = function;
            self->context = context;
            return false;
        }
        Py_DECREF(function);
        Py_DECREF(context);
    }
    return true;
}

int spd_listeners_visit(const struct spd_listeners *self, visitproc visit,
                        void *arg)
{
    return spd_visit_owned(self, owned, SPD_COUNT(owned), visit, arg);
}

void spd_listeners_clear(struct spd_listeners *self)
{
    spd_clear_owned(self, owned, SPD_COUNT(owned));
}
