/* jsonrpcc._speedups.Pending: what AsyncClient.call() returns.
 *
 * It behaves like the coroutine of "async def call(): return await future",
 * without a frame.  As with any coroutine, nothing happens until it is awaited.
 * Then it submits the call and passes everything on to the iterator of a
 * future, in one step of C code.  If something is thrown into it, most likely a
 * cancellation, or if it is closed or dropped, the call is no longer awaited,
 * and is abandoned. */

#include "python/pending.h"

#include "python/coroutine.h"

#include <stddef.h>
#include <structmember.h>

PyObject *spd_pending_new(const struct spd_maker *maker,
                          struct spd_arguments *a, bool warns)
{
    struct spd_pending *self =
        PyObject_GC_New(struct spd_pending, (PyTypeObject *)maker->type);

    if (self == NULL) {
        spd_arguments_clear(a);
        return NULL;
    }
    Py_INCREF(maker->object);
    self->maker = maker;
    self->arguments = *a;
    Py_INCREF(a->method);
    self->future = NULL;
    self->iterator = NULL;
    self->id = 0;
    self->begun = self->ended = false;
    self->warns = warns;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

static bool begin(struct spd_pending *self)
{
    if (self->ended) {
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot reuse already awaited coroutine");
        return false;
    }
    if (self->begun)
        return true;
    self->begun = true;
    if (self->maker->begin(self->maker->object, self))
        return true;
    self->ended = true;
    return false;
}

/* The outcome will not be fetched.  A cancelled future does not complain about
 * that.  An exception that is set is preserved. */
static void abandon(struct spd_pending *self)
{
    PyObject *type, *value, *traceback;

    self->ended = true;
    if (self->id == 0)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    spd_core->cancel(self->maker->client, self->id);
    PyObject *done = PyObject_CallMethod(self->future, "cancel", NULL);
    if (done == NULL)
        PyErr_WriteUnraisable(self->future);
    Py_XDECREF(done);
    PyErr_Restore(type, value, traceback);
}

/* Whether what was raised is the call's outcome.  An exception that is set is
 * preserved. */
static bool has_outcome(struct spd_pending *self)
{
    PyObject *type, *value, *traceback;

    if (self->id == 0)
        return true;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *done = PyObject_CallMethod(self->future, "done", NULL);
    if (done == NULL)
        PyErr_WriteUnraisable(self->future);
    Py_XDECREF(done);
    PyErr_Restore(type, value, traceback);
    return done == Py_True;
}

static PySendResult am_send(PyObject *object, PyObject *value,
                            PyObject **result)
{
    struct spd_pending *self = (struct spd_pending *)object;

    if (!begin(self)) {
        *result = NULL;
        return PYGEN_ERROR;
    }
    PySendResult sent = PyIter_Send(self->iterator, value, result);
    self->ended = sent != PYGEN_NEXT;
    /* Trio raises a cancellation from inside the wait. */
    if (sent == PYGEN_ERROR && !has_outcome(self))
        abandon(self);
    return sent;
}

static PyObject *step(PyObject *object, PyObject *value)
{
    return spd_step(object, value, am_send);
}

static PyObject *next(PyObject *object)
{
    return step(object, Py_None);
}

static PyObject *itself(PyObject *object)
{
    return Py_NewRef(object);
}

/* What has no throw() is a Wait, which would raise it. */
static PyObject *throw_into(PyObject *iterator, PyObject *args)
{
    PyObject *method = PyObject_GetAttrString(iterator, "throw");

    if (method == NULL) {
        PyErr_Clear();
        return spd_raise(args);
    }
    PyObject *result = PyObject_Call(method, args, NULL);
    Py_DECREF(method);
    return result;
}

/* throw(type[, value[, traceback]]) */
static PyObject *throw(PyObject *object, PyObject *args)
{
    struct spd_pending *self = (struct spd_pending *)object;

    if (!self->begun || self->iterator == NULL) {
        self->begun = self->ended = true;
        return spd_raise(args);
    }
    PyObject *result = throw_into(self->iterator, args);
    if (result == NULL)
        abandon(self);
    return result;
}

static PyObject *close_(PyObject *object, PyObject *unused)
{
    struct spd_pending *self = (struct spd_pending *)object;
    PyObject *closed = NULL;

    (void)unused;
    /* A wait for room is a coroutine, which has to be closed. */
    if (self->begun && !self->ended && self->iterator != NULL &&
        self->iterator != self->future)
        closed = PyObject_CallMethod(self->iterator, "close", NULL);
    bool failed = closed == NULL && PyErr_Occurred() != NULL;
    Py_XDECREF(closed);
    self->begun = true;
    if (!self->ended)
        abandon(self);
    return failed ? NULL : Py_NewRef(Py_None);
}

static void finalize(PyObject *object)
{
    struct spd_pending *self = (struct spd_pending *)object;
    PyObject *type, *value, *traceback;

    if (self->ended)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    if (!self->begun && self->warns &&
        PyErr_WarnEx(PyExc_RuntimeWarning,
                     "coroutine 'AsyncClient.call' was never awaited", 1) != 0)
        PyErr_WriteUnraisable(self->maker->object);
    PyErr_Restore(type, value, traceback);
    abandon(self);
}

static PyObject *repr(PyObject *object)
{
    struct spd_pending *self = (struct spd_pending *)object;

    return PyUnicode_FromFormat("<Pending %R id %llu>", self->arguments.method,
                                (unsigned long long)self->id);
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct spd_pending *self = (struct spd_pending *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->maker->object);
    Py_VISIT(self->future);
    Py_VISIT(self->iterator);
    return 0;
}

/* The maker stays: what is cleared may need it until the end. */
static int clear(PyObject *object)
{
    struct spd_pending *self = (struct spd_pending *)object;

    Py_CLEAR(self->iterator);
    Py_CLEAR(self->future);
    Py_CLEAR(self->arguments.method);
    spd_arguments_clear(&self->arguments);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject *maker = ((struct spd_pending *)object)->maker->object;

    PyObject_GC_UnTrack(object);
    finalize(object);
    clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(maker);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"send", step, METH_O, "send(value): as a coroutine has it."},
    {"throw", throw, METH_VARARGS,
     "throw(type, value, traceback): as a coroutine has it; cancels the call."},
    {"close", close_, METH_NOARGS, "close(): abandon the call."},
    {NULL, NULL, 0, NULL},
};

/* arguments: (method, params as text, ms, flags) */
static PyObject *get_arguments(PyObject *object, void *unused)
{
    const struct spd_arguments *a = &((struct spd_pending *)object)->arguments;

    (void)unused;
    return Py_BuildValue("(OOiI)", a->method,
                         a->text != NULL ? a->text : Py_None, a->timeout_ms,
                         a->flags);
}

static PyGetSetDef getset[] = {
    {"arguments", get_arguments, NULL,
     "Its method, params as text, milliseconds and flags.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"future", T_OBJECT, offsetof(struct spd_pending, future), READONLY,
     "The future of its outcome, once it is awaited."},
    {"method", T_OBJECT, offsetof(struct spd_pending, arguments.method),
     READONLY, "The method that is called."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A call that is awaited."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_finalize, finalize},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_iter, itself},
    {Py_tp_iternext, next},
    {Py_am_await, itself},
    {Py_am_send, am_send},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, getset},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Pending",
    .basicsize = sizeof(struct spd_pending),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyObject *spd_pending_type(void)
{
    return PyType_FromSpec(&spec);
}
