/* An extension in plain C on jsonrpcc: with a client of its own, and with one
 * that Python hands over. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "adding.h"

static const jsonrpcc_capi *rpc;

static PyObject *told(adding sum)
{
    return Py_BuildValue("(Lii)", (long long)sum.sum, (int)sum.results,
                         (int)sum.errors);
}

/* add_own(servers, count): by a client of our own. */
static PyObject *add_own(PyObject *module, PyObject *args)
{
    jsonrpcc_options options = {.size = sizeof options};
    jsonrpcc_client *client;
    char why[256];
    int count;
    adding sum;

    (void)module;
    if (!PyArg_ParseTuple(args, "si", &options.servers, &count))
        return NULL;
    if (rpc->client_new(&options, &client, why, sizeof why) != JSONRPCC_OK) {
        PyErr_SetString(PyExc_ValueError, why);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS sum = add_all(rpc, client, count);
    rpc->client_close(client, -1);
    rpc->client_free(client);
    Py_END_ALLOW_THREADS return told(sum);
}

/* Adder(client): by the client that Python has, kept alive meanwhile. */
typedef struct {
    PyObject_HEAD PyObject *owner;
    jsonrpcc_client *client; /* the owner's */
} adder;

static PyObject *adder_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    PyObject *owner;

    (void)names;
    if (!PyArg_ParseTuple(args, "O", &owner))
        return NULL;
    jsonrpcc_client *client = rpc->client_from_object(owner);
    if (client == NULL)
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    adder *self = (adder *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(owner);
    self->owner = owner;
    self->client = client;
    return (PyObject *)self;
}

static void adder_dealloc(PyObject *object)
{
    adder *self = (adder *)object;
    PyTypeObject *type = Py_TYPE(object);

    Py_XDECREF(self->owner);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyObject *adder_add(PyObject *object, PyObject *args)
{
    adder *self = (adder *)object;
    int count;
    adding sum;

    if (!PyArg_ParseTuple(args, "i", &count))
        return NULL;
    Py_BEGIN_ALLOW_THREADS sum = add_all(rpc, self->client, count);
    Py_END_ALLOW_THREADS return told(sum);
}

/* names(method): the names of the members of its result, by a tree. */
static int add_name(struct json_object *tree, int flags,
                    struct json_object *parent, const char *name, size_t *index,
                    void *list)
{
    (void)tree;
    (void)index;
    if (parent == NULL || name == NULL || flags != 0)
        return 0; /* JSON_C_VISIT_RETURN_CONTINUE */
    PyObject *text = PyUnicode_FromString(name);
    int failed = text == NULL || PyList_Append(list, text) != 0;
    Py_XDECREF(text);
    return failed ? -1 : 0;
}

static PyObject *adder_names(PyObject *object, PyObject *args)
{
    adder *self = (adder *)object;
    const char *method;
    PyObject *list = NULL;
    struct json_object *tree = NULL;
    jsonrpcc_status status;

    if (!PyArg_ParseTuple(args, "s", &method))
        return NULL;
    jsonrpcc_sync *sync = rpc->sync_new(self->client);
    if (sync == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS status =
        rpc->sync_call(sync, method, strlen(method), NULL, 0, 0, 0, -1);
    if (status == JSONRPCC_OK)
        tree = rpc->outcome_tree(rpc->sync_outcome(sync));
    Py_END_ALLOW_THREADS if (status != JSONRPCC_OK)
        PyErr_SetString(PyExc_RuntimeError, rpc->status_text(status));
    else if ((list = PyList_New(0)) != NULL &&
             rpc->json_c_visit(tree, 0, add_name, list) != 0 &&
             PyErr_Occurred()) Py_CLEAR(list);
    rpc->json_object_put(tree);
    rpc->sync_free(sync);
    return list;
}

static PyMethodDef adder_methods[] = {
    {"add", adder_add, METH_VARARGS, "Add so many; (sum, results, errors)."},
    {"names", adder_names, METH_VARARGS, "Names of a result's members."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot adder_slots[] = {
    {Py_tp_new, adder_new},
    {Py_tp_dealloc, adder_dealloc},
    {Py_tp_methods, adder_methods},
    {0, NULL},
};

static PyType_Spec adder_spec = {
    .name = "consumer._plain.Adder",
    .basicsize = sizeof(adder),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = adder_slots,
};

static PyMethodDef methods[] = {
    {"add_own", add_own, METH_VARARGS, "Add so many; (sum, results, errors)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "consumer._plain",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__plain(void)
{
    rpc = jsonrpcc_import();
    if (rpc == NULL)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module ? PyType_FromSpec(&adder_spec) : NULL;
    if (type == NULL || PyModule_AddObjectRef(module, "Adder", type) != 0)
        Py_CLEAR(module);
    Py_XDECREF(type);
    return module;
}
