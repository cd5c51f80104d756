/* jsonrpcc._speedups.Method: AsyncClient.call(), as fast as C code is.
 *
 * To everybody who looks it is the Python function that it is made of, an
 * "async def" with a code object, a signature and documentation: all attributes
 * are that function's, __class__ too.  Called with the usual arguments it does
 * what the function does, by a Pending; otherwise it calls the function. */

#include "python/method.h"

#include "python/futures.h"
#include "python/object.h"

#include <stddef.h>
#include <structmember.h>

/* Of the stable ABI, and with it in the headers, since 3.12; the same before.
 */
#ifndef Py_TPFLAGS_HAVE_VECTORCALL
#define Py_TPFLAGS_HAVE_VECTORCALL (1UL << 11)
#endif
#define ARGUMENTS_OFFSET ((size_t)1 << (8 * sizeof(size_t) - 1))

typedef PyObject *vectorcall(PyObject *callable, PyObject *const *args,
                             size_t n, PyObject *kwnames);

/* jsonrpcc._speedups.AsyncClient, the base class that Method looks into. */
struct async_client {
    PyObject_HEAD PyObject *futures; /* NULL: not used yet */
};

struct method {
    PyObject_HEAD vectorcall *call;
    PyObject *function;
    PyObject *bound_type; /* types.MethodType */
    PyObject *client_type;
};

static PyObject *call(PyObject *object, PyObject *const *args, size_t n,
                      PyObject *kwnames)
{
    static const struct spd_style style = {
        .most = 2,
        .flags = JSONRPCC_IDEMPOTENT | JSONRPCC_WAIT_FOR_READY,
    };
    struct method *self = (struct method *)object;
    Py_ssize_t count = (Py_ssize_t)(n & ~ARGUMENTS_OFFSET);
    struct spd_arguments a;

    if (count > 0 &&
        PyObject_TypeCheck(args[0], (PyTypeObject *)self->client_type)) {
        PyObject *futures = ((struct async_client *)args[0])->futures;
        if (futures != NULL &&
            spd_read_usual(&a, &style,
                           &((struct futures *)futures)->calls.codec, args + 1,
                           count - 1, kwnames))
            return spd_pending_new(&((struct futures *)futures)->maker, &a,
                                   true);
        /* The function raises it as well, and when it is awaited. */
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception))
            return NULL;
        PyErr_Clear();
    }
    return spd_call_with(self->function, args, count, kwnames);
}

static PyObject *call_slowly(PyObject *object, PyObject *args, PyObject *kwargs)
{
    return PyObject_Call(((struct method *)object)->function, args, kwargs);
}

static PyObject *get(PyObject *object, PyObject *instance, PyObject *type)
{
    (void)type;
    if (instance == NULL || instance == Py_None)
        return Py_NewRef(object);
    return PyObject_CallFunctionObjArgs(((struct method *)object)->bound_type,
                                        object, instance, NULL);
}

static PyObject *getattro(PyObject *object, PyObject *name)
{
    return PyObject_GetAttr(((struct method *)object)->function, name);
}

static int setattro(PyObject *object, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(((struct method *)object)->function, name, value);
}

static PyObject *repr(PyObject *object)
{
    return PyObject_Repr(((struct method *)object)->function);
}

/* Method(function, types.MethodType, AsyncClient) */
static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *function, *bound_type, *client_type;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OO!O!", &function, &PyType_Type, &bound_type,
                          &PyType_Type, &client_type))
        return NULL;
    allocfunc make = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct method *self = (struct method *)make(type, 0);
    if (self == NULL)
        return NULL;
    self->call = call;
    self->function = Py_NewRef(function);
    self->bound_type = Py_NewRef(bound_type);
    self->client_type = Py_NewRef(client_type);
    return (PyObject *)self;
}

static const size_t owned[] = {
    offsetof(struct method, function),
    offsetof(struct method, bound_type),
    offsetof(struct method, client_type),
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

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct method, call),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new},
    {Py_tp_call, call_slowly},
    {Py_tp_descr_get, get},
    {Py_tp_getattro, getattro},
    {Py_tp_setattro, setattro},
    {Py_tp_repr, repr},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, spd_dealloc},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Method",
    .basicsize = sizeof(struct method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyObject *spd_method_type(void)
{
    return PyType_FromSpec(&spec);
}

/* ---- jsonrpcc._speedups.AsyncClient ---- */

/* _bind(futures): what calls are made of; None: nothing */
static PyObject *client_bind(PyObject *object, PyObject *futures)
{
    struct async_client *self = (struct async_client *)object;
    PyObject *old = self->futures;

    self->futures = futures == Py_None ? NULL : Py_NewRef(futures);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static int client_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((struct async_client *)object)->futures);
    return 0;
}

static int client_clear(PyObject *object)
{
    Py_CLEAR(((struct async_client *)object)->futures);
    return 0;
}

/* As dealloc() in client.c. */
static void client_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    client_clear(object);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef client_methods[] = {
    {"_bind", client_bind, METH_O,
     "_bind(futures): what calls are made of; None: nothing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_doc, "What a Method looks into."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_traverse, client_traverse},
    {Py_tp_clear, client_clear},
    {Py_tp_dealloc, client_dealloc},
    {Py_tp_methods, client_methods},
    {0, NULL},
};

static PyType_Spec client_spec = {
    .name = "jsonrpcc._speedups.AsyncClient",
    .basicsize = sizeof(struct async_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = client_slots,
};

PyObject *spd_async_client_type(void)
{
    return PyType_FromSpec(&client_spec);
}
