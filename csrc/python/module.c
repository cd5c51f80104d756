#include "python/module.h"

const jsonrpcc_capi *spd_core;

/* bind(address of the table of the core's functions) */
static PyObject *bind(PyObject *module, PyObject *address)
{
    const jsonrpcc_capi *table = PyLong_AsVoidPtr(address);

    (void)module;
    if (table == NULL && PyErr_Occurred())
        return NULL;
    if (table == NULL || table->size < sizeof *table) {
        PyErr_SetString(PyExc_ValueError, "not the table of this version");
        return NULL;
    }
    spd_core = table;
    Py_RETURN_NONE;
}

static bool intern(PyObject **name, const char *text)
{
    *name = PyUnicode_InternFromString(text);
    return *name != NULL;
}

static bool intern_names(void)
{
    return intern(&spd_names.params, "params") &&
           intern(&spd_names.on_result, "on_result") &&
           intern(&spd_names.on_error, "on_error") &&
           intern(&spd_names.timeout, "timeout") &&
           intern(&spd_names.idempotent, "idempotent") &&
           intern(&spd_names.wait_for_ready, "wait_for_ready") &&
           intern(&spd_names.block, "block");
}

/* Steals type. */
static bool add_type(PyObject *module, const char *name, PyObject *type)
{
    bool added = type != NULL && PyModule_AddObjectRef(module, name, type) == 0;

    Py_XDECREF(type);
    return added;
}

int spd_hushed;
PyObject *spd_quieten;

/* hush(1), and hush(-1) when it is over: see module.h */
static PyObject *hush(PyObject *module, PyObject *by)
{
    long count = PyLong_AsLong(by);

    (void)module;
    if (count == -1 && PyErr_Occurred())
        return NULL;
    spd_hushed += (int)count;
    Py_RETURN_NONE;
}

/* set_quieten(function) */
static PyObject *set_quieten(PyObject *module, PyObject *function)
{
    PyObject *before = spd_quieten;

    (void)module;
    spd_quieten = Py_NewRef(function);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_O,
     "bind(table): take the core's functions from where it lies."},
    {"assign", spd_assign, METH_VARARGS,
     "assign(object, name, function, args, kwargs): call the function and have "
     "its result as an attribute, in one step."},
    {"take", spd_take, METH_VARARGS,
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
    .m_name = "jsonrpcc._speedups",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__speedups(void)
{
    PyObject *module = PyModule_Create(&definition);

    if (module != NULL && intern_names() &&
        PyModule_AddIntConstant(module, "SLICE_MS", SPD_SLICE_MS) == 0 &&
        add_type(module, "Call", spd_call_type()) &&
        add_type(module, "Blocking", spd_blocking_type()) &&
        add_type(module, "Callbacks", spd_callbacks_type()) &&
        add_type(module, "Client", spd_client_type()) &&
        add_type(module, "AsyncClient", spd_async_client_type()) &&
        add_type(module, "Futures", spd_futures_type()) &&
        add_type(module, "Method", spd_method_type()) &&
        add_type(module, "Ordered", spd_ordered_type()) &&
        add_type(module, "Pending", spd_pending_type()))
        return module;
    Py_XDECREF(module);
    return NULL;
}
