/* AsyncClient.call() looks like an "async def".  If the arguments are usual,
 * it does what that function does, by a Pending; otherwise it calls the
 * function. */

#include "python/async_client.h"

#include "python/futures.h"
#include "python/method.h"
#include "python/object.h"

struct async_client {
    PyObject_HEAD PyObject *futures; /* NULL: not used yet */
};

static PyObject *call(PyObject *object, PyObject *const *args, size_t n,
                      PyObject *kwnames)
{
    static const struct spd_style style = {.most = 2, .block = true};
    struct spd_method *self = (struct spd_method *)object;
    Py_ssize_t count = spd_vectorcall_count(n);
    struct spd_arguments a;

    if (spd_method_fits(self, args, count)) {
        PyObject *futures = ((struct async_client *)args[0])->futures;
        if (futures != NULL &&
            spd_read_usual(&a, &style,
                           &((struct futures *)futures)->calls.codec, args + 1,
                           count - 1, kwnames))
            return spd_pending_new(&((struct futures *)futures)->maker, &a,
                                   true);
        /* The function raises it as well, when it is awaited. */
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
    }
    return spd_call_with(self->function, args, count, kwnames);
}

/* _bind(futures): what calls go through; None: nothing */
static PyObject *bind(PyObject *object, PyObject *futures)
{
    struct async_client *self = (struct async_client *)object;
    PyObject *old = self->futures;

    self->futures = futures == Py_None ? NULL : Py_NewRef(futures);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((struct async_client *)object)->futures);
    return 0;
}

static int clear(PyObject *object)
{
    Py_CLEAR(((struct async_client *)object)->futures);
    return 0;
}

static void dealloc(PyObject *object)
{
    spd_dealloc_base(object, clear);
}

/* _method(function, types.MethodType): its call() */
static PyObject *make_method(PyObject *type, PyObject *args)
{
    PyObject *function, *bound_type;

    if (!PyArg_ParseTuple(args, "OO!", &function, &PyType_Type, &bound_type))
        return NULL;
    return spd_method_new(call, type, function, bound_type);
}

static PyMethodDef methods[] = {
    {"_method", make_method, METH_VARARGS | METH_CLASS,
     "_method(function, types.MethodType): its call(), as fast as C code is."},
    {"_bind", bind, METH_O,
     "_bind(futures): what calls are made of; None: nothing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What its call() looks into."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_getattro, spd_getattro},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.AsyncClient",
    .basicsize = sizeof(struct async_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

PyObject *spd_async_client_type(void)
{
    return PyType_FromSpec(&spec);
}
