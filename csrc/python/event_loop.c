#include "python/event_loop.h"

#include "python/object.h"

static const size_t owned[] = {
    offsetof(struct spd_event_loop, object),
    offsetof(struct spd_event_loop, get_running_loop),
    offsetof(struct spd_event_loop, create_future),
    offsetof(struct spd_event_loop, call_soon),
    offsetof(struct spd_event_loop, is_running),
};

bool spd_event_loop_init(struct spd_event_loop *self, PyObject *object,
                         PyObject *get_running_loop)
{
    self->create_future = PyObject_GetAttrString(object, "create_future");
    self->call_soon = PyObject_GetAttrString(object, "call_soon");
    self->is_running = PyObject_GetAttrString(object, "is_running");
    self->object = Py_NewRef(object);
    self->get_running_loop = Py_NewRef(get_running_loop);
    if (self->create_future != NULL && self->call_soon != NULL &&
        self->is_running != NULL)
        return true;
    spd_event_loop_clear(self);
    return false;
}

int spd_event_loop_visit(const struct spd_event_loop *self, visitproc visit,
                         void *arg)
{
    return spd_visit_owned(self, owned, SPD_COUNT(owned), visit, arg);
}

void spd_event_loop_clear(struct spd_event_loop *self)
{
    spd_clear_owned(self, owned, SPD_COUNT(owned));
}

bool spd_event_loop_call_soon(const struct spd_event_loop *self,
                              PyObject *object, PyObject **method,
                              const char *name)
{
    if (*method == NULL)
        *method = PyObject_GetAttrString(object, name);
    PyObject *handle =
        *method == NULL
            ? NULL
            : PyObject_CallFunctionObjArgs(self->call_soon, *method, NULL);
    Py_XDECREF(handle);
    return handle != NULL;
}

/* Whether a Python function returns True.  False also stands for an
 * exception. */
static bool says_true(PyObject *function)
{
    PyObject *result = PyObject_CallFunctionObjArgs(function, NULL);

    Py_XDECREF(result);
    return result == Py_True;
}

bool spd_event_loop_is_here(struct spd_event_loop *self, bool same_turn)
{
    unsigned long thread = PyThread_get_thread_ident();

    if (same_turn && self->thread == thread && says_true(self->is_running))
        return true;
    if (PyErr_Occurred())
        return false;
    PyObject *running =
        PyObject_CallFunctionObjArgs(self->get_running_loop, NULL);
    Py_XDECREF(running);
    if (running == NULL)
        return false;
    if (running == self->object)
        self->thread = thread;
    else
        PyErr_SetString(PyExc_RuntimeError,
                        "this client belongs to another event loop");
    return running == self->object;
}
