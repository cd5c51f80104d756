/* jsonrpcc._speedups: what Python does for every call, in C. */

#include "python/arguments.h"
#include "python/async_client.h"
#include "python/attempt.h"
#include "python/blocking.h"
#include "python/call.h"
#include "python/callbacks.h"
#include "python/client.h"
#include "python/decoder.h"
#include "python/futures_type.h"
#include "python/hush.h"
#include "python/method.h"
#include "python/ordered.h"
#include "python/pending.h"
#include "python/wait_type.h"

/* Steals type. */
static bool add_type(PyObject *module, const char *name, PyObject *type)
{
    bool added = type != NULL && PyModule_AddObjectRef(module, name, type) == 0;

    Py_XDECREF(type);
    return added;
}

static PyMethodDef methods[] = {
    {"bind", spd_bind, METH_O,
     "bind(table): take the core's functions from where it lies."},
    {"assign", spd_assign, METH_VARARGS,
     "assign(object, name, function, args, kwargs): call the function and have "
     "its result as an attribute, in one step."},
    {"attempt", spd_attempt, METH_VARARGS,
     "attempt(function, argument, guarded=Exception): its result and None, or "
     "None and the guarded exception that it raised."},
    {"take", spd_take, METH_VARARGS,
     "take(iterator, count, seconds): a list of at most so many, whether each "
     "is a dict, list or tuple, whether there are more, the seconds that it "
     "took, and what the iterator raised."},
    {"hush", spd_hush, METH_O,
     "hush(1): a thread begins to handle a record of ours; hush(-1): ends."},
    {"set_decoders", spd_set_decoders, METH_O,
     "set_decoders(dict): the decoders that are known, by their types."},
    {"set_quieten", spd_set_quieten, METH_O,
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

    if (module != NULL && spd_keywords_init() && spd_decoders_init() &&
        PyModule_AddIntConstant(module, "SLICE_MS", SPD_SLICE_MS) == 0 &&
        add_type(module, "Method", spd_method_type()) &&
        add_type(module, "Call", spd_call_type()) &&
        add_type(module, "Blocking", spd_blocking_type()) &&
        add_type(module, "Callbacks", spd_callbacks_type()) &&
        add_type(module, "Client", spd_client_type()) &&
        add_type(module, "AsyncClient", spd_async_client_type()) &&
        add_type(module, "Futures", spd_futures_type()) &&
        add_type(module, "Ordered", spd_ordered_type()) &&
        add_type(module, "Pending", spd_pending_type()) &&
        add_type(module, "Wait", spd_wait_type()))
        return module;
    Py_XDECREF(module);
    return NULL;
}
