/* jsonrpcc._speedups.Client: the methods of jsonrpcc.Client that are in the
 * path of every call.
 *
 * A base class, so that they are methods like any other: patching, overriding,
 * signatures and references to them work as they do with Python code. */

#include "python/client.h"

#include "python/blocking.h"
#include "python/callbacks.h"
#include "python/object.h"

struct client {
    PyObject_HEAD PyObject *callbacks; /* NULL: not open yet */
    PyObject *blocking;                /* likewise */
};

typedef PyObject *style(PyObject *object, PyObject *const *args, Py_ssize_t n,
                        PyObject *kwnames);

/* Open the client in this process, which is to bind what calls are made of. */
static bool open_(PyObject *object)
{
    struct client *self = (struct client *)object;
    PyObject *done = PyObject_CallMethod(object, "_open", NULL);

    Py_XDECREF(done);
    if (done == NULL)
        return false;
    if (self->callbacks == NULL || self->blocking == NULL)
        PyErr_SetString(PyExc_RuntimeError, "this client is not open");
    return self->callbacks != NULL && self->blocking != NULL;
}

/* Whoever makes the call holds what it needs: another one may bind anew.  What
 * is bound may be another process's: the core alone knows of every fork(), and
 * refuses it. */
static PyObject *run(PyObject *object, PyObject **part, style *function,
                     PyObject *const *args, Py_ssize_t n, PyObject *kwnames)
{
    PyObject *result;

    if (*part == NULL && !open_(object))
        return NULL;
    do {
        PyObject *held = Py_NewRef(*part);
        result = function(held, args, n, kwnames);
        Py_DECREF(held);
    } while (result == NULL && !PyErr_Occurred() && open_(object));
    return result;
}

static PyObject *request(PyObject *object, PyObject *const *args, Py_ssize_t n,
                         PyObject *kwnames)
{
    struct client *self = (struct client *)object;

    return run(object, &self->callbacks, spd_request, args, n, kwnames);
}

static PyObject *notification(PyObject *object, PyObject *const *args,
                              Py_ssize_t n, PyObject *kwnames)
{
    struct client *self = (struct client *)object;

    return run(object, &self->callbacks, spd_notification, args, n, kwnames);
}

static PyObject *call(PyObject *object, PyObject *const *args, Py_ssize_t n,
                      PyObject *kwnames)
{
    struct client *self = (struct client *)object;

    return run(object, &self->blocking, spd_call, args, n, kwnames);
}

/* _bind(callbacks, blocking): what calls are made of; None: not open */
static PyObject *bind(PyObject *object, PyObject *args)
{
    struct client *self = (struct client *)object;
    PyObject *callbacks, *blocking;

    if (!PyArg_ParseTuple(args, "OO", &callbacks, &blocking))
        return NULL;
    PyObject *old[] = {self->callbacks, self->blocking};
    self->callbacks = callbacks == Py_None ? NULL : Py_NewRef(callbacks);
    self->blocking = blocking == Py_None ? NULL : Py_NewRef(blocking);
    Py_XDECREF(old[0]);
    Py_XDECREF(old[1]);
    Py_RETURN_NONE;
}

/* The result of function(*args, **kwargs) becomes an attribute before any more
 * Python code, a signal handler for one, runs. */
PyObject *spd_assign(PyObject *module, PyObject *args)
{
    PyObject *object, *name, *function, *positional, *keywords;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO!O!", &object, &name, &function,
                          &PyTuple_Type, &positional, &PyDict_Type, &keywords))
        return NULL;
    PyObject *result = PyObject_Call(function, positional, keywords);
    if (result == NULL)
        return NULL;
    int failed = PyObject_SetAttr(object, name, result);
    Py_DECREF(result);
    return failed != 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- the object ---- */

static const size_t owned[] = {
    offsetof(struct client, callbacks),
    offsetof(struct client, blocking),
};

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    return spd_visit_owned(object, owned, SPD_COUNT(owned), visit, arg);
}

static int clear(PyObject *object)
{
    spd_clear_owned(object, owned, SPD_COUNT(owned));
    return 0;
}

/* Not spd_dealloc(): the type of the object is a class of Python's, and what
 * that adds is cleared already. */
static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    clear(object);
    release(object);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    request_doc,
    "request($self, /, method, params=None, on_result=None, on_error=None, *, "
    "timeout=None, idempotent=False, wait_for_ready=False, block=True)\n--\n\n"
    "Call *method*; run exactly one of *on_result(result)* and *on_error(error)*.\n"
    "\n"
    "*params* is a dict, list or tuple, the JSON text of an array or object\n"
    "(single quotes allowed), or None for no params.  *timeout* covers\n"
    "everything from now on; None means the client's.  *idempotent* calls may\n"
    "be sent again when a connection breaks.  *wait_for_ready* waits for a\n"
    "server until the deadline instead of failing when all are known to be\n"
    "down.  When the client's bounds are reached, the caller waits, up to\n"
    "*timeout*; with ``block=False``, and in callbacks, it does not.\n"
    "\n"
    "Without *on_error*, errors are logged.\n"
    "\n"
    "Raises:\n"
    "    QueueFull: A bound is reached.  No callback will run.\n"
    "    ClientClosed: The client is closed.  No callback will run.\n"
    "    TypeError, ValueError: An argument is wrong; the text says which and\n"
    "        where.");

PyDoc_STRVAR(
    notification_doc,
    "notification($self, /, method, params=None, *, timeout=None, "
    "wait_for_ready=False, block=True)\n--\n\n"
    "Send a notification; return as soon as it is queued.\n"
    "\n"
    "There is no answer and no error: a notification that cannot be handed to\n"
    "a server within *timeout* is dropped, and counted in `stats()`.\n"
    "\n"
    "Raises as `request` does.");

PyDoc_STRVAR(
    call_doc,
    "call($self, /, method, params=None, *, timeout=None, "
    "idempotent=False, wait_for_ready=False)\n--\n\n"
    "Call *method* and wait: return the result or raise the error.\n"
    "\n"
    "Ctrl-C is seen within 0.2 s; the call is then abandoned.\n"
    "\n"
    "Raises:\n"
    "    RemoteError: The server answered with an error.\n"
    "    RequestTimeout: No answer came before the deadline.\n"
    "    ServerFailure: No server can be reached.\n"
    "    ConnectionLost: The connection broke after the request was sent.\n"
    "    InvalidResponse: The answer breaks JSON-RPC 2.0 or a limit.\n"
    "    QueueFull, ClientClosed, TypeError, ValueError: As `request`.");

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"request", FASTCALL(request), METH_FASTCALL | METH_KEYWORDS, request_doc},
    {"notification", FASTCALL(notification), METH_FASTCALL | METH_KEYWORDS,
     notification_doc},
    {"call", FASTCALL(call), METH_FASTCALL | METH_KEYWORDS, call_doc},
    {"_bind", bind, METH_VARARGS,
     "_bind(callbacks, blocking): what calls are made of; None: not open."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The methods that are in the path of every call."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Client",
    .basicsize = sizeof(struct client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

PyObject *spd_client_type(void)
{
    return PyType_FromSpec(&spec);
}
