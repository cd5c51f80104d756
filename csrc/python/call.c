/* jsonrpcc.Call: a request in flight, as the caller holds it.
 *
 * It knows no callback, so it cannot be part of a cycle, and needs no help from
 * the garbage collector. */

#include "python/call.h"

#include <stddef.h>
#include <structmember.h>

struct call {
    PyObject_HEAD PyObject *handle; /* keeps client */
    jsonrpcc_client *client;
    PyObject *method;
    uint64_t id;
};

PyObject *spd_call_new(PyObject *type, PyObject *handle,
                       jsonrpcc_client *client, PyObject *method)
{
    struct call *call = PyObject_New(struct call, (PyTypeObject *)type);

    if (call == NULL)
        return NULL;
    Py_INCREF(handle);
    Py_INCREF(method);
    call->handle = handle;
    call->client = client;
    call->method = method;
    call->id = 0;
    return (PyObject *)call;
}

void spd_call_set_id(PyObject *call, uint64_t id)
{
    ((struct call *)call)->id = id;
}

static void dealloc(PyObject *self)
{
    struct call *call = (struct call *)self;
    PyTypeObject *type = Py_TYPE(self);

    Py_XDECREF(call->handle);
    Py_XDECREF(call->method);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *cancel(PyObject *self, PyObject *unused)
{
    struct call *call = (struct call *)self;

    (void)unused;
    spd_core->cancel(call->client, call->id);
    Py_RETURN_NONE;
}

static PyObject *repr(PyObject *self)
{
    struct call *call = (struct call *)self;

    return PyUnicode_FromFormat("<Call %R id %llu>", call->method,
                                (unsigned long long)call->id);
}

PyDoc_STRVAR(call_doc, "A request in flight, as `Client.request` returns it.");

PyDoc_STRVAR(
    cancel_doc,
    "cancel($self, /)\n--\n\n"
    "Abandon the call: `Cancelled` goes to on_error.\n\n"
    "If an outcome is already on its way, that one is delivered "
    "instead: there\nis exactly one in either case.  Has no effect on a "
    "call that has ended.");

static PyMethodDef methods[] = {
    {"cancel", cancel, METH_NOARGS, cancel_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"method", T_OBJECT, offsetof(struct call, method), READONLY,
     "The method that is called."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)call_doc}, {Py_tp_dealloc, dealloc}, {Py_tp_repr, repr},
    {Py_tp_methods, methods},      {Py_tp_members, members}, {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc.Call",
    .basicsize = sizeof(struct call),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyObject *spd_call_type(void)
{
    return PyType_FromSpec(&spec);
}
