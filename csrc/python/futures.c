/* jsonrpcc._speedups.Futures: calls whose outcomes go to futures of an event
 * loop.
 *
 * Belongs to the thread of that loop. */

#include "python/futures.h"

#include "python/object.h"

bool spd_futures_call_soon(struct futures *self, PyObject **method,
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
        self->corked = spd_futures_call_soon(self, &self->flush, "flush");
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

/* A future for the call's outcome, and what awaits it. */
static bool make_future(struct futures *self, struct pending *pending)
{
    pending->future = PyObject_CallFunctionObjArgs(self->create_future, NULL);
    if (pending->future == NULL || !learn_type(self, pending->future))
        return false;
    pending->iterator = PyObject_GetIter(pending->future);
    return pending->iterator != NULL;
}

/* Submit a call with its entry, or neither; its id, negated status, or 0 with
 * an exception.  What may fail comes before: an accepted call belongs to its
 * Pending, which cancels it if nobody awaits it any more. */
static int64_t submit(struct futures *self, struct pending *pending)
{
    struct spd_entries *entries = &self->calls.entries;

    if ((pending->future == NULL && !make_future(self, pending)) || !cork(self))
        return 0;
    uint64_t token = spd_entries_put(entries, pending->future, NULL,
                                     pending->arguments.method);
    if (token == SPD_NO_ENTRY)
        return 0;
    int64_t id = spd_submit(self->calls.queue, &pending->arguments, token,
                            JSONRPCC_CORKED);
    if (id > 0) {
        pending->id = (uint64_t)id;
        spd_arguments_clear(&pending->arguments); /* sent, they need not stay */
    } else {
        spd_entries_discard(entries, token);
    }
    return id;
}

static int64_t notify(struct futures *self, const struct spd_arguments *a)
{
    return cork(self) ? spd_submit(self->calls.queue, a, 0,
                                   JSONRPCC_CORKED | JSONRPCC_NOTIFICATION)
                      : 0;
}

/* True if there was no room.  False: an exception is set. */
static bool is_full(struct futures *self, int64_t id,
                    const struct spd_arguments *a)
{
    if (id < 0 && id != -JSONRPCC_EFULL)
        spd_refuse(self->calls.refuse, (jsonrpcc_status)-id, a);
    return id == -JSONRPCC_EFULL;
}

/* Whether a call of Python's says True; false also with an exception. */
static bool says_true(PyObject *function)
{
    PyObject *result = PyObject_CallFunctionObjArgs(function, NULL);

    Py_XDECREF(result);
    return result == Py_True;
}

/* False, and an exception is set: another event loop than ours runs here.
 *
 * To ask which one costs a system call, so it is asked once a turn: until
 * flush(), another loop of this thread runs only if ours has stopped. */
static bool is_in_its_loop(struct futures *self)
{
    unsigned long thread = PyThread_get_thread_ident();

    if (self->corked && self->thread == thread && says_true(self->is_running))
        return true;
    if (PyErr_Occurred())
        return false;
    PyObject *running =
        PyObject_CallFunctionObjArgs(self->get_running_loop, NULL);
    Py_XDECREF(running);
    if (running == NULL)
        return false;
    if (running == self->loop)
        self->thread = thread;
    else
        PyErr_SetString(PyExc_RuntimeError,
                        "this AsyncClient belongs to another event loop");
    return running == self->loop;
}

bool spd_futures_begin(struct futures *self, struct pending *pending)
{
    if (!is_in_its_loop(self))
        return false;
    int64_t id = submit(self, pending);
    if (id > 0)
        return true;
    if (!is_full(self, id, &pending->arguments))
        return false;
    PyObject *waiting =
        PyObject_CallFunctionObjArgs(self->when_room, pending, NULL);
    Py_XDECREF(pending->iterator);
    pending->iterator = waiting;
    return pending->iterator != NULL;
}

/* call(method, params, timeout, wait_for_ready, idempotent) -> Pending */
static PyObject *call(PyObject *object, PyObject *args)
{
    struct futures *self = (struct futures *)object;
    struct spd_arguments a;

    if (!spd_read_prepared(&a, PyObject_CallObject(self->read, args)))
        return NULL;
    return spd_pending_new(self, &a, false);
}

/* notification(method, params, timeout, wait_for_ready) -> what to await, or
 * None */
static PyObject *notification(PyObject *object, PyObject *args)
{
    struct futures *self = (struct futures *)object;
    struct spd_arguments a;
    PyObject *made = NULL;

    if (!is_in_its_loop(self) ||
        !spd_read_prepared(&a, PyObject_CallObject(self->read, args)))
        return NULL;
    int64_t id = notify(self, &a);
    if (id > 0)
        made = Py_NewRef(Py_None);
    else if (is_full(self, id, &a))
        made = PyObject_CallFunctionObjArgs(self->when_room, a.owner, NULL);
    spd_arguments_clear(&a);
    return made;
}

/* again(Pending, or arguments of a notification, ms) -> whether there was room
 */
static PyObject *again(PyObject *object, PyObject *args)
{
    struct futures *self = (struct futures *)object;
    struct spd_arguments a;
    PyObject *what;
    int64_t id;
    int ms;

    if (!PyArg_ParseTuple(args, "Oi", &what, &ms))
        return NULL;
    if ((PyObject *)Py_TYPE(what) == self->pending_type) {
        struct pending *pending = (struct pending *)what;
        pending->arguments.timeout_ms = ms;
        id = submit(self, pending);
        if (id <= 0 && !is_full(self, id, &pending->arguments))
            return NULL;
        return PyBool_FromLong(id > 0);
    }
    if (!spd_read_prepared(&a, Py_NewRef(what)))
        return NULL;
    a.timeout_ms = ms;
    id = notify(self, &a);
    bool is_refused = id <= 0 && !is_full(self, id, &a);
    spd_arguments_clear(&a);
    return is_refused ? NULL : PyBool_FromLong(id > 0);
}

/* get(token) -> (future, method), or None */
static PyObject *get_entry(PyObject *object, PyObject *token)
{
    struct spd_entry entry;

    if (!spd_calls_get(&((struct futures *)object)->calls, token, &entry))
        return NULL;
    if (entry.method == NULL)
        Py_RETURN_NONE;
    return PyTuple_Pack(2, entry.on_result, entry.method);
}

static PyObject *discard_entry(PyObject *object, PyObject *token)
{
    return spd_calls_discard(&((struct futures *)object)->calls, token);
}

/* take_all() -> list of (future, method)
 *
 * That is the end.  What knows us is let go of, or only the garbage collector
 * would find us, and the queue's descriptor. */
static PyObject *take_all(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;
    PyObject *list = PyList_New(0);
    struct spd_entry entry;

    (void)unused;
    Py_CLEAR(self->flush);
    Py_CLEAR(self->go_on);
    for (uint32_t i = 0; list != NULL && i < self->calls.entries.used; i++) {
        if (!spd_entries_take_any(&self->calls.entries, i, &entry))
            continue;
        PyObject *tuple = PyTuple_Pack(2, entry.on_result, entry.method);
        spd_entry_drop(&entry);
        if (tuple == NULL || PyList_Append(list, tuple) != 0)
            Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

/* fetch(): deliver all that is there */
static PyObject *fetch(PyObject *object, PyObject *unused)
{
    (void)unused;
    return spd_futures_deliver((struct futures *)object, true);
}

/* go_on(): deliver more of what is there */
static PyObject *go_on(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    self->comes_back = false;
    return spd_futures_deliver(self, false);
}

/* Callbacks of others' may run in there, and wait for whom they like. */
static bool poll(struct futures *self)
{
    PyThreadState *state = PyEval_SaveThread();
    bool drove = spd_core->queue_poll(self->calls.queue);

    PyEval_RestoreThread(state);
    return drove;
}

static PyObject *begin_to_deliver(struct futures *self)
{
    if (self->comes_back)
        Py_RETURN_NONE;
    return spd_futures_deliver(self, false);
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
        spd_core->flush(self->calls.client);
    return begin_to_deliver(self);
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"client",  "queue",     "completions",
                            "keep",    "handle",    "codec",
                            "refuse",  "read",      "rest",
                            "loop",    "when_room", "get_running_loop",
                            "pending", NULL};
    struct futures *self = (struct futures *)object;
    PyObject *client, *queue, *completions, *keep, *handle, *codec, *refuse,
        *read;
    PyObject *rest, *loop, *when_room, *get_running_loop, *pending;

    if (self->pending_type != NULL) {
        PyErr_SetString(PyExc_TypeError, "made already");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$O!O!O!OOOOOOOOOO", names, &PyLong_Type, &client,
            &PyLong_Type, &queue, &PyLong_Type, &completions, &keep, &handle,
            &codec, &refuse, &read, &rest, &loop, &when_room, &get_running_loop,
            &pending))
        return -1;
    PyObject *create_future = PyObject_GetAttrString(loop, "create_future");
    PyObject *call_soon = PyObject_GetAttrString(loop, "call_soon");
    PyObject *is_running = PyObject_GetAttrString(loop, "is_running");
    if (create_future == NULL || call_soon == NULL || is_running == NULL ||
        !spd_calls_init(&self->calls, client, queue, handle, keep, codec,
                        refuse)) {
        Py_XDECREF(create_future);
        Py_XDECREF(call_soon);
        Py_XDECREF(is_running);
        return -1;
    }
    self->completions = PyLong_AsVoidPtr(completions);
    self->create_future = create_future;
    self->call_soon = call_soon;
    self->is_running = is_running;
    self->read = Py_NewRef(read);
    self->rest = Py_NewRef(rest);
    self->loop = Py_NewRef(loop);
    self->when_room = Py_NewRef(when_room);
    self->get_running_loop = Py_NewRef(get_running_loop);
    self->pending_type = Py_NewRef(pending);
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct futures *self = (struct futures *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->pending_type);
    Py_VISIT(self->read);
    Py_VISIT(self->loop);
    Py_VISIT(self->when_room);
    Py_VISIT(self->get_running_loop);
    Py_VISIT(self->is_running);
    Py_VISIT(self->create_future);
    Py_VISIT(self->call_soon);
    Py_VISIT(self->flush);
    Py_VISIT(self->go_on);
    Py_VISIT(self->rest);
    Py_VISIT(self->future_type);
    Py_VISIT(self->set_result);
    return spd_calls_visit(&self->calls, visit, arg);
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
    Py_CLEAR(self->read);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->when_room);
    Py_CLEAR(self->get_running_loop);
    Py_CLEAR(self->is_running);
    spd_calls_clear(&self->calls);
    return 0;
}

static PyMethodDef methods[] = {
    {"call", call, METH_VARARGS,
     "call(method, params, timeout, wait_for_ready, idempotent): what to "
     "await."},
    {"notification", notification, METH_VARARGS,
     "notification(method, params, timeout, wait_for_ready): submit it; what to "
     "await, or None."},
    {"again", again, METH_VARARGS,
     "again(what _when_room() was given, ms): whether there was room."},
    {"get", get_entry, METH_O, "get(token): its (future, method), or None."},
    {"discard", discard_entry, METH_O, "discard(token): forget its entry."},
    {"take_all", take_all, METH_NOARGS,
     "take_all(): all entries' (future, method)."},
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
    {Py_tp_dealloc, spd_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Futures",
    .basicsize = sizeof(struct futures),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *spd_futures_type(void)
{
    return PyType_FromSpec(&spec);
}
