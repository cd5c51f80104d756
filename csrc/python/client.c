/* jsonrpcc._speedups.Client: the methods of jsonrpcc.Client on the path of
 * every call.
 *
 * The Python function behind such a Method has the signature and documentation,
 * and reads unusual arguments; C code submits what it returns.  So no Python
 * code runs between the two. */

#include "python/client.h"

#include "python/blocking.h"
#include "python/callbacks.h"
#include "python/method.h"
#include "python/object.h"

#include <string.h>

struct client {
    PyObject_HEAD PyObject *callbacks; /* NULL: not open yet */
    PyObject *blocking;                /* NULL: not open yet */
};

typedef PyObject *style(PyObject *part, PyObject *read, PyObject *const *args,
                        Py_ssize_t n, PyObject *kwnames);

/* Open the client in this process, which binds what calls go through. */
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

/* Run function with a reference to what it needs, since another thread may bind
 * anew.  What is bound may belong to another process: only the core knows of
 * every fork(), and refuses. */
static PyObject *run(PyObject *object, size_t part, style *function,
                     PyObject *const *args, size_t n, PyObject *kwnames)
{
    const struct spd_method *method = (struct spd_method *)object;
    Py_ssize_t count = spd_vectorcall_count(n);
    PyObject *result;

    if (!spd_method_fits(method, args, count)) {
        PyErr_Format(PyExc_TypeError, "%R needs a client", object);
        return NULL;
    }
    PyObject **place = (PyObject **)((char *)args[0] + part);
    if (*place == NULL && !open_(args[0]))
        return NULL;
    do {
        PyObject *held = Py_NewRef(*place);
        result = function(held, method->function, args, count, kwnames);
        Py_DECREF(held);
    } while (result == NULL && !PyErr_Occurred() && open_(args[0]));
    return result;
}

static PyObject *request(PyObject *method, PyObject *const *args, size_t n,
                         PyObject *kwnames)
{
    return run(method, offsetof(struct client, callbacks), spd_request, args, n,
               kwnames);
}

static PyObject *notification(PyObject *method, PyObject *const *args, size_t n,
                              PyObject *kwnames)
{
    return run(method, offsetof(struct client, callbacks), spd_notification,
               args, n, kwnames);
}

static PyObject *call(PyObject *method, PyObject *const *args, size_t n,
                      PyObject *kwnames)
{
    return run(method, offsetof(struct client, blocking), spd_call, args, n,
               kwnames);
}

/* _method(function, types.MethodType): the one of that name */
static PyObject *make_method(PyObject *type, PyObject *args)
{
    static const struct {
        const char *name;
        spd_vectorcall *call;
    } ours[] = {
        {"request", request}, {"notification", notification}, {"call", call}};
    PyObject *function, *bound_type, *made = NULL;

    if (!PyArg_ParseTuple(args, "OO!", &function, &PyType_Type, &bound_type))
        return NULL;
    PyObject *name = PyObject_GetAttrString(function, "__name__");
    const char *text =
        name == NULL ? NULL : PyUnicode_AsUTF8AndSize(name, NULL);
    for (size_t i = 0; text != NULL && i < SPD_COUNT(ours); i++)
        if (strcmp(text, ours[i].name) == 0)
            made = spd_method_new(ours[i].call, type, function, bound_type);
    if (made == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "there is no such method in C");
    Py_XDECREF(name);
    return made;
}

/* _bind(callbacks, blocking): what calls go through; None: not open */
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

/* assign(...): the result of function(*args, **kwargs) becomes an attribute
 * before any other Python code, such as a signal handler, runs. */
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

static void dealloc(PyObject *object)
{
    spd_dealloc_base(object, clear);
}

static PyMethodDef methods[] = {
    {"_method", make_method, METH_VARARGS | METH_CLASS,
     "_method(function, types.MethodType): the method of its name, in C."},
    {"_bind", bind, METH_VARARGS,
     "_bind(callbacks, blocking): what calls are made of; None: not open."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The methods that are in the path of every call."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_getattro, spd_getattro},
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
