/* A Method looks exactly like the Python function behind it, with a code
 * object, a signature and documentation: all its attributes are that
 * function's, including __class__.  So mock, inspect, pydoc and others find
 * what they look for, which they do not with a C type's methods. */

#include "python/method.h"

#include "python/object.h"

#include <stddef.h>
#include <structmember.h>

static PyTypeObject *method_type; /* the only one in the process */

PyObject *spd_method_new(spd_vectorcall *call, PyObject *client_type,
                         PyObject *function, PyObject *bound_type)
{
    struct spd_method *self = PyObject_GC_New(struct spd_method, method_type);

    if (self == NULL)
        return NULL;
    self->call = call;
    self->function = Py_NewRef(function);
    self->bound_type = Py_NewRef(bound_type);
    self->client_type = Py_NewRef(client_type);
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

bool spd_method_fits(const struct spd_method *method, PyObject *const *args,
                     Py_ssize_t count)
{
    return count > 0 &&
           PyObject_TypeCheck(args[0], (PyTypeObject *)method->client_type);
}

static PyObject *get(PyObject *object, PyObject *instance, PyObject *type)
{
    (void)type;
    if (instance == NULL || instance == Py_None)
        return Py_NewRef(object);
    return PyObject_CallFunctionObjArgs(
        ((struct spd_method *)object)->bound_type, object, instance, NULL);
}

static PyObject *getattro(PyObject *object, PyObject *name)
{
    return PyObject_GetAttr(((struct spd_method *)object)->function, name);
}

static int setattro(PyObject *object, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(((struct spd_method *)object)->function, name,
                            value);
}

/* pydoc asks object.__getattribute__() for this, bypassing getattro(). */
static PyObject *get_doc(PyObject *object, void *unused)
{
    (void)unused;
    return PyObject_GetAttrString(((struct spd_method *)object)->function,
                                  "__doc__");
}

static PyObject *repr(PyObject *object)
{
    return PyObject_Repr(((struct spd_method *)object)->function);
}

static const size_t owned[] = {
    offsetof(struct spd_method, function),
    offsetof(struct spd_method, bound_type),
    offsetof(struct spd_method, client_type),
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
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct spd_method, call),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"__doc__", get_doc, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_call, spd_vectorcall_call},
    {Py_tp_descr_get, get},
    {Py_tp_getattro, getattro},
    {Py_tp_setattro, setattro},
    {Py_tp_repr, repr},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, spd_dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, attributes},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Method",
    .basicsize = sizeof(struct spd_method),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyObject *spd_method_type(void)
{
    if (method_type == NULL)
        method_type = (PyTypeObject *)PyType_FromSpec(&spec);
    Py_XINCREF((PyObject *)method_type);
    return (PyObject *)method_type;
}
