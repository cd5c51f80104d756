/* jsonrpcc._fast.Pending: a call that an event loop's task awaits.
 *
 * What "async def call(): return await future" would make, without a frame:
 * it has the methods of a coroutine and hands all through to the iterator of
 * its future.  Only what is thrown into it, most likely a cancellation, it
 * takes as a sign that nobody waits for the call any more. */

#include "python/module.h"

#include <stddef.h>
#include <structmember.h>

struct pending {
    PyObject_HEAD PyObject *handle; /* keeps client */
    jsonrpcc_client *client;
    PyObject *method;
    PyObject *future;
    PyObject *iterator; /* of the future, once it is awaited */
    uint64_t id;
};

PyObject *fast_pending_new(PyObject *type, PyObject *handle,
                           jsonrpcc_client *client, PyObject *method,
                           PyObject *future)
{
    struct pending *self =
        PyObject_GC_New(struct pending, (PyTypeObject *)type);

    if (self == NULL)
        return NULL;
    self->handle = Py_NewRef(handle);
    self->client = client;
    self->method = Py_NewRef(method);
    self->future = Py_NewRef(future);
    self->iterator = NULL;
    self->id = 0;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

void fast_pending_set_id(PyObject *pending, uint64_t id)
{
    ((struct pending *)pending)->id = id;
}

static bool begin(struct pending *self)
{
    if (self->iterator == NULL)
        self->iterator = PyObject_GetIter(self->future);
    return self->iterator != NULL;
}

static PySendResult am_send(PyObject *object, PyObject *value,
                            PyObject **result)
{
    struct pending *self = (struct pending *)object;

    if (!begin(self)) {
        *result = NULL;
        return PYGEN_ERROR;
    }
    return PyIter_Send(self->iterator, value, result);
}

/* As am_send(), with what is returned in a StopIteration. */
static PyObject *step(PyObject *object, PyObject *value)
{
    PyObject *result = NULL;

    if (am_send(object, value, &result) != PYGEN_RETURN)
        return result;
    /* Not by PyErr_SetObject() alone: it would unpack a tuple. */
    PyObject *stop =
        PyObject_CallFunctionObjArgs(PyExc_StopIteration, result, NULL);
    Py_DECREF(result);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static PyObject *next(PyObject *object)
{
    return step(object, Py_None);
}

static PyObject *itself(PyObject *object)
{
    return Py_NewRef(object);
}

static PyObject *cancel(PyObject *object, PyObject *unused)
{
    struct pending *self = (struct pending *)object;

    (void)unused;
    fast_core.cancel(self->client, self->id);
    Py_RETURN_NONE;
}

/* throw(type[, value[, traceback]]) */
static PyObject *throw(PyObject *object, PyObject *args)
{
    struct pending *self = (struct pending *)object;

    fast_core.cancel(self->client, self->id);
    PyObject *method =
        begin(self) ? PyObject_GetAttrString(self->iterator, "throw") : NULL;
    PyObject *result =
        method == NULL ? NULL : PyObject_Call(method, args, NULL);
    Py_XDECREF(method);
    return result;
}

static PyObject *close_(PyObject *object, PyObject *unused)
{
    struct pending *self = (struct pending *)object;

    (void)unused;
    PyObject *is_done = PyObject_CallMethod(self->future, "done", NULL);
    if (is_done == NULL)
        return NULL;
    if (is_done == Py_False)
        fast_core.cancel(self->client, self->id);
    Py_DECREF(is_done);
    Py_RETURN_NONE;
}

static PyObject *repr(PyObject *object)
{
    struct pending *self = (struct pending *)object;

    return PyUnicode_FromFormat("<Pending %R id %llu>", self->method,
                                (unsigned long long)self->id);
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct pending *self = (struct pending *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->handle);
    Py_VISIT(self->future);
    Py_VISIT(self->iterator);
    return 0;
}

static int clear(PyObject *object)
{
    struct pending *self = (struct pending *)object;

    Py_CLEAR(self->iterator);
    Py_CLEAR(self->future);
    Py_CLEAR(self->method);
    Py_CLEAR(self->handle);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"send", step, METH_O, "send(value): as a coroutine has it."},
    {"throw", throw, METH_VARARGS,
     "throw(type, value, traceback): as a coroutine has it; cancels the call."},
    {"close", close_, METH_NOARGS, "close(): give the call up."},
    {"cancel", cancel, METH_NOARGS,
     "cancel(): give the call up; it ends with Cancelled."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"method", T_OBJECT, offsetof(struct pending, method), READONLY,
     "The method that is called."},
    {"future", T_OBJECT, offsetof(struct pending, future), READONLY,
     "The future of its outcome."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A call that is awaited."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_iter, itself},
    {Py_tp_iternext, next},
    {Py_am_await, itself},
    {Py_am_send, am_send},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._fast.Pending",
    .basicsize = sizeof(struct pending),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyObject *fast_pending_type(void)
{
    return PyType_FromSpec(&spec);
}
