/* jsonrpcc._fast.Futures: calls whose outcomes go to futures of an event loop.
 *
 * Belongs to the thread of that loop. */

#include "python/futures.h"

bool fast_futures_call_soon(struct futures *self, PyObject **method,
                            const char *name)
{
    if (*method == NULL)
        *method = PyObject_GetAttrString((PyObject *)self, name);
    PyObject *handle =
        *method == NULL
            ? NULL
            : PyObject_CallFunctionObjArgs(self->call_soon, *method, NULL);
    Py_XDECREF(handle);
    return handle != NULL;
}

/* Whatever is submitted in one turn of the event loop goes out together: have
 * it call flush(). */
static bool cork(struct futures *self)
{
    if (!self->corked)
        self->corked = fast_futures_call_soon(self, &self->flush, "flush");
    return self->corked;
}

/* Remember how to set the result of futures of this kind. */
static bool learn_type(struct futures *self, PyObject *future)
{
    PyObject *type = (PyObject *)Py_TYPE(future);

    if (self->future_type == type)
        return true;
    Py_CLEAR(self->set_result);
    Py_INCREF(type);
    Py_XDECREF(self->future_type);
    self->future_type = type;
    self->set_result = PyObject_GetAttrString(type, "set_result");
    return self->set_result != NULL;
}

/* call(method, params, *, timeout, idempotent, wait_for_ready) -> Pending, or
 * what otherwise() makes of it */
static PyObject *call(PyObject *object, PyObject *const *args, Py_ssize_t n,
                      PyObject *kwnames)
{
    struct futures *self = (struct futures *)object;
    struct fast_arguments a;
    PyObject *text = NULL, *future = NULL, *pending = NULL;
    uint32_t token = FAST_NO_ENTRY;
    int64_t id = 0;

    if (fast_read_arguments(&a, args, n, kwnames, 2) && a.on_result == NULL &&
        a.on_error == NULL)
        text = fast_encode(&self->calls.codec, a.params);
    if (text != NULL)
        future = PyObject_CallFunctionObjArgs(self->create_future, NULL);
    if (future != NULL && learn_type(self, future))
        pending = fast_pending_new(self->pending_type, self->calls.handle,
                                   self->calls.client, a.method, future);
    if (pending != NULL && cork(self))
        token = fast_entries_put(&self->calls.entries, future, NULL, a.method);
    if (token != FAST_NO_ENTRY) {
        id = fast_submit(self->calls.queue, &a, text, token, JSONRPCC_CORKED);
        if (id > 0)
            fast_pending_set_id(pending, (uint64_t)id);
        else
            fast_entries_discard(&self->calls.entries, token);
    }
    Py_XDECREF(text);
    Py_XDECREF(future);
    if (id > 0)
        return pending;
    Py_XDECREF(pending);
    if (PyErr_Occurred())
        return NULL;
    return fast_otherwise(self->otherwise, NULL, args, n, kwnames);
}

/* put(future, method) -> token */
static PyObject *put_entry(PyObject *object, PyObject *args)
{
    struct futures *self = (struct futures *)object;
    PyObject *future, *method;

    if (!PyArg_ParseTuple(args, "OU", &future, &method) ||
        !learn_type(self, future))
        return NULL;
    uint32_t token =
        fast_entries_put(&self->calls.entries, future, NULL, method);
    return token == FAST_NO_ENTRY ? NULL : PyLong_FromUnsignedLong(token);
}

/* get(token) -> (future, method), or None */
static PyObject *get_entry(PyObject *object, PyObject *token)
{
    struct fast_entry entry;

    if (!fast_calls_get(&((struct futures *)object)->calls, token, &entry))
        return NULL;
    if (entry.method == NULL)
        Py_RETURN_NONE;
    return PyTuple_Pack(2, entry.on_result, entry.method);
}

static PyObject *discard_entry(PyObject *object, PyObject *token)
{
    return fast_calls_discard(&((struct futures *)object)->calls, token);
}

/* take_all() -> list of (future, method) */
static PyObject *take_all(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;
    PyObject *list = PyList_New(0);
    struct fast_entry entry;

    (void)unused;
    for (uint32_t i = 0; list != NULL && i < self->calls.entries.used; i++) {
        if (!fast_entries_take(&self->calls.entries, i, &entry))
            continue;
        PyObject *tuple = PyTuple_Pack(2, entry.on_result, entry.method);
        fast_entry_drop(&entry);
        if (tuple == NULL || PyList_Append(list, tuple) != 0)
            Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

static PyObject *cork_now(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (!cork((struct futures *)object))
        return NULL;
    Py_RETURN_NONE;
}

/* fetch(): deliver all that is there */
static PyObject *fetch(PyObject *object, PyObject *unused)
{
    (void)unused;
    return fast_futures_deliver((struct futures *)object, true);
}

/* go_on(): deliver more of what is there */
static PyObject *go_on(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    self->comes_back = false;
    return fast_futures_deliver(self, false);
}

/* Callbacks of others' may run in there, and wait for whom they like. */
static bool poll(struct futures *self)
{
    PyThreadState *state = PyEval_SaveThread();
    bool drove = fast_core.queue_poll(self->calls.queue);

    PyEval_RestoreThread(state);
    return drove;
}

static PyObject *begin_to_deliver(struct futures *self)
{
    if (self->comes_back)
        Py_RETURN_NONE;
    return fast_futures_deliver(self, false);
}

/* on_ready(): a descriptor of the client's, or of the queue's, is readable */
static PyObject *on_ready(PyObject *object, PyObject *unused)
{
    (void)unused;
    poll((struct futures *)object);
    return begin_to_deliver((struct futures *)object);
}

/* flush(): send what this turn of the event loop submitted */
static PyObject *flush(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    self->corked = false;
    if (!poll(self))
        fast_core.flush(self->calls.client);
    return begin_to_deliver(self);
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "client", "queue",         "batch",     "keep",      "handle",  "codec",
        "rest",   "create_future", "call_soon", "otherwise", "pending", NULL};
    struct futures *self = (struct futures *)object;
    PyObject *client, *queue, *batch, *keep, *handle, *codec, *rest;
    PyObject *create_future, *call_soon, *otherwise, *pending;

    if (self->pending_type != NULL) {
        PyErr_SetString(PyExc_TypeError, "made already");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$O!O!O!OOOOOOOO", names, &PyLong_Type, &client,
            &PyLong_Type, &queue, &PyLong_Type, &batch, &keep, &handle, &codec,
            &rest, &create_future, &call_soon, &otherwise, &pending) ||
        !fast_calls_init(&self->calls, client, queue, handle, keep, codec))
        return -1;
    self->batch = PyLong_AsVoidPtr(batch);
    self->create_future = Py_NewRef(create_future);
    self->call_soon = Py_NewRef(call_soon);
    self->rest = Py_NewRef(rest);
    self->pending_type = Py_NewRef(pending);
    self->otherwise = Py_NewRef(otherwise);
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct futures *self = (struct futures *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->pending_type);
    Py_VISIT(self->otherwise);
    Py_VISIT(self->create_future);
    Py_VISIT(self->call_soon);
    Py_VISIT(self->flush);
    Py_VISIT(self->go_on);
    Py_VISIT(self->rest);
    Py_VISIT(self->future_type);
    Py_VISIT(self->set_result);
    return fast_calls_visit(&self->calls, visit, arg);
}

static int clear(PyObject *object)
{
    struct futures *self = (struct futures *)object;

    Py_CLEAR(self->create_future);
    Py_CLEAR(self->call_soon);
    Py_CLEAR(self->flush);
    Py_CLEAR(self->go_on);
    Py_CLEAR(self->rest);
    Py_CLEAR(self->future_type);
    Py_CLEAR(self->set_result);
    Py_CLEAR(self->pending_type);
    Py_CLEAR(self->otherwise);
    fast_calls_clear(&self->calls);
    return 0;
}

static PyMethodDef methods[] = {
    {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL | METH_KEYWORDS,
     "See jsonrpcc.AsyncClient.call."},
    {"put", put_entry, METH_VARARGS,
     "put(future, method): the token of a new entry."},
    {"get", get_entry, METH_O, "get(token): its (future, method), or None."},
    {"discard", discard_entry, METH_O, "discard(token): forget its entry."},
    {"take_all", take_all, METH_NOARGS,
     "take_all(): all entries' (future, method)."},
    {"cork", cork_now, METH_NOARGS, "cork(): have flush called this turn."},
    {"on_ready", on_ready, METH_NOARGS,
     "on_ready(): a descriptor is readable."},
    {"flush", flush, METH_NOARGS,
     "flush(): send what this turn of the event loop submitted."},
    {"fetch", fetch, METH_NOARGS, "fetch(): deliver all that is there."},
    {"go_on", go_on, METH_NOARGS, "go_on(): deliver more of what is there."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Calls whose outcomes go to futures of an event loop."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, fast_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._fast.Futures",
    .basicsize = sizeof(struct futures),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *fast_futures_type(void)
{
    return PyType_FromSpec(&spec);
}
