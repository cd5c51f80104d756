#include "python/module.h"

struct fast_core fast_core;

/* bind({name: address of the core's jsonrpcc_<name>()}) */
static PyObject *bind(PyObject *module, PyObject *addresses)
{
    const struct {
        const char *name;
        void *function;
    } functions[] = {
        {"queue_request", &fast_core.queue_request},
        {"queue_fetch", &fast_core.queue_fetch},
        {"queue_poll", &fast_core.queue_poll},
        {"cancel", &fast_core.cancel},
        {"flush", &fast_core.flush},
        {"sync_call", &fast_core.sync_call},
        {"sync_wait", &fast_core.sync_wait},
        {"sync_outcome", &fast_core.sync_outcome},
    };

    (void)module;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        PyObject *address =
            PyMapping_GetItemString(addresses, functions[i].name);
        void *pointer = address == NULL ? NULL : PyLong_AsVoidPtr(address);
        Py_XDECREF(address);
        if (pointer == NULL && PyErr_Occurred())
            return NULL;
        *(void **)functions[i].function = pointer;
    }
    Py_RETURN_NONE;
}

static bool intern(PyObject **name, const char *text)
{
    *name = PyUnicode_InternFromString(text);
    return *name != NULL;
}

static bool intern_names(void)
{
    return intern(&fast_names.params, "params") &&
           intern(&fast_names.on_result, "on_result") &&
           intern(&fast_names.on_error, "on_error") &&
           intern(&fast_names.timeout, "timeout") &&
           intern(&fast_names.idempotent, "idempotent") &&
           intern(&fast_names.wait_for_ready, "wait_for_ready") &&
           intern(&fast_names.block, "block");
}

/* Steals type. */
static bool add_type(PyObject *module, const char *name, PyObject *type)
{
    bool added = type != NULL && PyModule_AddObjectRef(module, name, type) == 0;

    Py_XDECREF(type);
    return added;
}

int fast_hushed;
PyObject *fast_quieten;

/* hush(1), and hush(-1) when it is over: see module.h */
static PyObject *hush(PyObject *module, PyObject *by)
{
    long count = PyLong_AsLong(by);

    (void)module;
    if (count == -1 && PyErr_Occurred())
        return NULL;
    fast_hushed += (int)count;
    Py_RETURN_NONE;
}

/* set_quieten(function) */
static PyObject *set_quieten(PyObject *module, PyObject *function)
{
    PyObject *before = fast_quieten;

    (void)module;
    fast_quieten = Py_NewRef(function);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_O, "Set the addresses of the core's functions."},
    {"take", fast_take, METH_VARARGS,
     "take(iterator, count, seconds): a list of at most so many, whether each "
     "is a dict, list or tuple, whether there are more, the seconds that it "
     "took, and what the iterator raised."},
    {"hush", hush, METH_O,
     "hush(1): a thread begins to handle a record of ours; hush(-1): ends."},
    {"set_quieten", set_quieten, METH_O,
     "set_quieten(function): what makes the callbacks of calls made then."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "jsonrpcc._fast",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__fast(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module != NULL && intern_names() &&
        add_type(module, "Call", fast_call_type()) &&
        add_type(module, "Blocking", fast_blocking_type()) &&
        add_type(module, "Callbacks", fast_callbacks_type()) &&
        add_type(module, "Futures", fast_futures_type()) &&
        add_type(module, "Ordered", fast_ordered_type()) &&
        add_type(module, "Pending", fast_pending_type()))
        return module;
    Py_XDECREF(module);
    return NULL;
}
