/* jsonrpcc._fast.Callbacks: calls whose outcomes go to callbacks. */

#include "python/module.h"

struct callbacks {
    PyObject_HEAD struct fast_calls calls;
    PyObject *call_type;    /* jsonrpcc.Call */
    PyObject *report;       /* told (method, exception) of a callback */
    PyObject *request;      /* (self, ...): for unusual arguments */
    PyObject *notification; /* likewise */
};

/* ---- submitting ---- */

/* As fast_entries_put(), with what is said of fast_quieten. */
static uint32_t put_quietened(struct fast_entries *entries, PyObject *on_result,
                              PyObject *on_error, PyObject *method)
{
    uint32_t token = FAST_NO_ENTRY;
    PyObject *both = PyObject_CallFunctionObjArgs(
        fast_quieten, on_result != NULL ? on_result : Py_None,
        on_error != NULL ? on_error : Py_None, NULL);

    if (both != NULL && PyArg_ParseTuple(both, "OO", &on_result, &on_error))
        token = fast_entries_put(entries, on_result, on_error, method);
    Py_XDECREF(both);
    return token;
}

static bool is_callback(PyObject *object, const char *name)
{
    bool good = object == NULL || object == Py_None || PyCallable_Check(object);

    if (!good)
        PyErr_Format(PyExc_TypeError, "%s must be callable or None, not %R",
                     name, object);
    return good;
}

static uint32_t put(struct fast_entries *entries, PyObject *on_result,
                    PyObject *on_error, PyObject *method)
{
    if (!is_callback(on_result, "on_result") ||
        !is_callback(on_error, "on_error"))
        return FAST_NO_ENTRY;
    return fast_hushed > 0
               ? put_quietened(entries, on_result, on_error, method)
               : fast_entries_put(entries, on_result, on_error, method);
}

static PyObject *request(PyObject *object, PyObject *const *args, Py_ssize_t n,
                         PyObject *kwnames)
{
    struct callbacks *self = (struct callbacks *)object;
    struct fast_arguments a;
    PyObject *text = NULL;

    if (fast_read_arguments(&a, args, n, kwnames, 4))
        text = fast_encode(&self->calls.codec, a.params);
    if (text == NULL)
        return PyErr_Occurred()
                   ? NULL
                   : fast_otherwise(self->request, object, args, n, kwnames);
    /* All memory is taken first: an accepted call must not end in an error. */
    PyObject *call = fast_call_new(self->call_type, self->calls.handle,
                                   self->calls.client, a.method);
    uint32_t token = call == NULL ? FAST_NO_ENTRY
                                  : put(&self->calls.entries, a.on_result,
                                        a.on_error, a.method);
    int64_t id = 0;
    if (token != FAST_NO_ENTRY) {
        id = fast_submit(self->calls.queue, &a, text, token, 0);
        if (id > 0)
            fast_call_set_id(call, (uint64_t)id);
        else
            fast_entries_discard(&self->calls.entries, token);
    }
    Py_DECREF(text);
    if (id > 0)
        return call;
    Py_XDECREF(call);
    if (token == FAST_NO_ENTRY)
        return NULL;
    return fast_otherwise(self->request, object, args, n, kwnames);
}

static PyObject *notification(PyObject *object, PyObject *const *args,
                              Py_ssize_t n, PyObject *kwnames)
{
    struct callbacks *self = (struct callbacks *)object;
    struct fast_arguments a;
    PyObject *text = NULL;
    int64_t id = 0;

    if (fast_read_arguments(&a, args, n, kwnames, 2) && a.on_result == NULL &&
        a.on_error == NULL && (a.flags & JSONRPCC_IDEMPOTENT) == 0)
        text = fast_encode(&self->calls.codec, a.params);
    if (text != NULL) {
        id = fast_submit(self->calls.queue, &a, text, 0, JSONRPCC_NOTIFICATION);
        Py_DECREF(text);
    }
    if (id > 0)
        Py_RETURN_NONE;
    if (PyErr_Occurred())
        return NULL;
    return fast_otherwise(self->notification, object, args, n, kwnames);
}

/* put(on_result, on_error, method) -> token */
static PyObject *put_entry(PyObject *object, PyObject *args)
{
    PyObject *on_result, *on_error, *method;

    if (!PyArg_ParseTuple(args, "OOU", &on_result, &on_error, &method))
        return NULL;
    uint32_t token = put(&((struct callbacks *)object)->calls.entries,
                         on_result, on_error, method);
    return token == FAST_NO_ENTRY ? NULL : PyLong_FromUnsignedLong(token);
}

/* submit(call or None, token, method, params or None, ms, flags) -> status
 *
 * It takes no memory once the call is accepted: the id is the call's. */
static PyObject *submit_texts(PyObject *object, PyObject *args)
{
    struct callbacks *self = (struct callbacks *)object;
    PyObject *call;
    unsigned long long token;
    const char *method, *params;
    Py_ssize_t method_len, params_len;
    int ms;
    unsigned flags;

    if (!PyArg_ParseTuple(args, "OKy#z#iI", &call, &token, &method, &method_len,
                          &params, &params_len, &ms, &flags))
        return NULL;
    if (call != Py_None && (PyObject *)Py_TYPE(call) != self->call_type) {
        PyErr_SetString(PyExc_TypeError, "not a Call");
        return NULL;
    }
    int64_t id = fast_core.queue_request(self->calls.queue, token, method,
                                         (size_t)method_len, params,
                                         (size_t)params_len, ms, flags);
    if (id <= 0)
        return PyLong_FromLongLong(-id);
    if (call != Py_None)
        fast_call_set_id(call, (uint64_t)id);
    return PyLong_FromLong(JSONRPCC_OK);
}

/* call(method) -> Call, which submit() may be given */
static PyObject *make_call(PyObject *object, PyObject *method)
{
    struct callbacks *self = (struct callbacks *)object;

    if (!PyUnicode_Check(method)) {
        PyErr_SetString(PyExc_TypeError, "method is not a str");
        return NULL;
    }
    return fast_call_new(self->call_type, self->calls.handle,
                         self->calls.client, method);
}

/* ---- delivering ---- */

/* get(token) -> (on_result, on_error, method), or None */
static PyObject *get_entry(PyObject *object, PyObject *token)
{
    struct fast_entry entry;

    if (!fast_calls_get(&((struct callbacks *)object)->calls, token, &entry))
        return NULL;
    if (entry.method == NULL)
        Py_RETURN_NONE;
    return PyTuple_Pack(3, entry.on_result != NULL ? entry.on_result : Py_None,
                        entry.on_error != NULL ? entry.on_error : Py_None,
                        entry.method);
}

static PyObject *discard_entry(PyObject *object, PyObject *token)
{
    return fast_calls_discard(&((struct callbacks *)object)->calls, token);
}

/* A callback raised: tell, and go on.  If even that raises, it is Python's
 * unraisable hook that is told. */
static void tell_exception(struct callbacks *self, PyObject *method)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && traceback != NULL)
        PyException_SetTraceback(value, traceback);
    PyObject *done = PyObject_CallFunctionObjArgs(
        self->report, method, value != NULL ? value : Py_None, NULL);
    if (done == NULL)
        PyErr_WriteUnraisable(self->report);
    Py_XDECREF(done);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

/* deliver(address of a batch) -> whether that was all
 *
 * Results that can be decoded; no more.  The counts tell what is left. */
static PyObject *deliver(PyObject *object, PyObject *address)
{
    struct callbacks *self = (struct callbacks *)object;
    jsonrpcc_batch *batch = PyLong_AsVoidPtr(address);
    struct fast_entry entry;

    if (batch == NULL)
        return NULL;
    if (batch->count == 0)
        Py_RETURN_FALSE;
    PyObject *results = fast_decode_many(&self->calls.codec, batch);
    if (results == NULL) {
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (!fast_entries_take(&self->calls.entries, batch->tokens[i], &entry))
            continue;
        if (entry.on_result != NULL && entry.on_result != Py_None) {
            PyObject *done = PyObject_CallFunctionObjArgs(
                entry.on_result, PyList_GetItem(results, (Py_ssize_t)i), NULL);
            if (done == NULL)
                tell_exception(self, entry.method);
            Py_XDECREF(done);
        }
        fast_entry_drop(&entry);
    }
    Py_DECREF(results);
    batch->count = 0;
    return PyBool_FromLong(fast_is_delivered(batch));
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"client", "queue",   "handle", "keep",
                            "codec",  "request", "report", "notification",
                            "call",   NULL};
    struct callbacks *self = (struct callbacks *)object;
    PyObject *client, *queue, *handle, *keep, *codec;
    PyObject *request_, *report, *notification_, *call_type;

    if (self->call_type != NULL) {
        PyErr_SetString(PyExc_TypeError, "made already");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$O!O!OOOOOOO", names,
                                     &PyLong_Type, &client, &PyLong_Type,
                                     &queue, &handle, &keep, &codec, &request_,
                                     &report, &notification_, &call_type) ||
        !fast_calls_init(&self->calls, client, queue, handle, keep, codec))
        return -1;
    self->request = Py_NewRef(request_);
    self->report = Py_NewRef(report);
    self->notification = Py_NewRef(notification_);
    self->call_type = Py_NewRef(call_type);
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct callbacks *self = (struct callbacks *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->call_type);
    Py_VISIT(self->report);
    Py_VISIT(self->request);
    Py_VISIT(self->notification);
    return fast_calls_visit(&self->calls, visit, arg);
}

static int clear(PyObject *object)
{
    struct callbacks *self = (struct callbacks *)object;

    Py_CLEAR(self->report);
    Py_CLEAR(self->request);
    Py_CLEAR(self->notification);
    Py_CLEAR(self->call_type);
    fast_calls_clear(&self->calls);
    return 0;
}

static Py_ssize_t length(PyObject *object)
{
    return ((struct callbacks *)object)->calls.entries.live;
}

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"request", FASTCALL(request), METH_FASTCALL | METH_KEYWORDS,
     "See jsonrpcc.Client.request."},
    {"notification", FASTCALL(notification), METH_FASTCALL | METH_KEYWORDS,
     "See jsonrpcc.Client.notification."},
    {"put", put_entry, METH_VARARGS,
     "put(on_result, on_error, method): the token of a new entry."},
    {"get", get_entry, METH_O,
     "get(token): its (on_result, on_error, method), or None."},
    {"discard", discard_entry, METH_O, "discard(token): forget its entry."},
    {"submit", submit_texts, METH_VARARGS,
     "submit(call, token, method, params, ms, flags): status."},
    {"call", make_call, METH_O, "call(method): a Call for submit()."},
    {"deliver", deliver, METH_O,
     "deliver(batch): run the callbacks of its results; whether that was all."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Whom to tell the outcome of which call."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, fast_dealloc},
    {Py_tp_methods, methods},
    {Py_sq_length, length},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._fast.Callbacks",
    .basicsize = sizeof(struct callbacks),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *fast_callbacks_type(void)
{
    return PyType_FromSpec(&spec);
}
