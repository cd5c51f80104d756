/* jsonrpcc._speedups.Futures: calls whose outcomes go to futures of an event
 * loop.
 *
 * Belongs to the loop's thread. */

#include "python/futures_type.h"

#include "python/futures.h"
#include "python/object.h"
#include "python/room.h"
#include "python/turns.h"

static bool begin(PyObject *object, struct spd_pending *pending)
{
    struct futures *self = (struct futures *)object;

    if (!spd_event_loop_is_here(&self->loop, self->corked))
        return false;
    int64_t id = spd_submit_pending(self, pending);
    if (id > 0)
        return true;
    if (!spd_may_wait(self, id, &pending->arguments))
        return false;
    pending->arguments.since_us = spd_now_us();
    PyObject *waiting =
        PyObject_CallFunctionObjArgs(self->when_room, pending, NULL);
    Py_XDECREF(pending->iterator);
    pending->iterator = waiting;
    return pending->iterator != NULL;
}

/* call(prepared) -> Pending */
static PyObject *call(PyObject *object, PyObject *prepared)
{
    struct spd_arguments a;

    if (!spd_read_prepared(&a, Py_NewRef(prepared)))
        return NULL;
    return spd_pending_new(&((struct futures *)object)->maker, &a, false);
}

/* notification(prepared) -> what to await, or None */
static PyObject *notification(PyObject *object, PyObject *prepared)
{
    struct futures *self = (struct futures *)object;
    struct spd_arguments a;
    PyObject *made = NULL;

    if (!spd_event_loop_is_here(&self->loop, self->corked) ||
        !spd_read_prepared(&a, Py_NewRef(prepared)))
        return NULL;
    int64_t id = spd_notify(self, &a);
    if (id > 0)
        made = Py_NewRef(Py_None);
    else if (spd_may_wait(self, id, &a))
        made = PyObject_CallFunctionObjArgs(self->when_room, a.owner, NULL);
    spd_arguments_clear(&a);
    return made;
}

/* start(prepared, on_done, since_us) -> (Call, its future), or None: there is
 * no room
 *
 * on_done(future) is called with the outcome unless it is None.  since_us is
 * that of jsonrpcc_call. */
static PyObject *start(PyObject *object, PyObject *args)
{
    struct futures *self = (struct futures *)object;
    struct spd_arguments a;
    PyObject *prepared, *on_done, *made = NULL;
    unsigned long long since_us;

    if (!PyArg_ParseTuple(args, "OOK", &prepared, &on_done, &since_us) ||
        !spd_event_loop_is_here(&self->loop, self->corked) ||
        !spd_read_prepared(&a, Py_NewRef(prepared)))
        return NULL;
    a.since_us = since_us;
    PyObject *future = spd_new_future(self, on_done);
    PyObject *call = future == NULL
                         ? NULL
                         : spd_call_new(self->call_type, self->calls.handle,
                                        self->calls.client, a.method);
    if (call != NULL)
        made = PyTuple_Pack(2, call, future);
    if (made != NULL) {
        int64_t id = spd_submit_future(self, &a, future);
        if (id > 0)
            spd_call_set_id(call, (uint64_t)id);
        else
            Py_CLEAR(made);
        if (made == NULL && spd_may_wait(self, id, &a))
            made = Py_NewRef(Py_None);
    }
    Py_XDECREF(future);
    Py_XDECREF(call);
    spd_arguments_clear(&a);
    return made;
}

/* again(Pending, or arguments of a notification, ms) -> whether there was
 * room.  A Pending knows when it began. */
static PyObject *again(PyObject *object, PyObject *args)
{
    struct futures *self = (struct futures *)object;
    struct spd_arguments a;
    PyObject *what;
    int64_t id;
    int ms;

    if (!PyArg_ParseTuple(args, "Oi", &what, &ms))
        return NULL;
    if ((PyObject *)Py_TYPE(what) == self->maker.type) {
        struct spd_pending *pending = (struct spd_pending *)what;
        id = spd_submit_pending(self, pending);
        if (id <= 0 && !spd_may_wait(self, id, &pending->arguments))
            return NULL;
        return PyBool_FromLong(id > 0);
    }
    if (!spd_read_prepared(&a, Py_NewRef(what)))
        return NULL;
    a.timeout_ms = ms;
    id = spd_notify(self, &a);
    bool is_refused = id <= 0 && !spd_may_wait(self, id, &a);
    spd_arguments_clear(&a);
    return is_refused ? NULL : PyBool_FromLong(id > 0);
}

/* get(token) -> (future, decoder, method), or None */
static PyObject *get_entry(PyObject *object, PyObject *token)
{
    struct spd_entry entry;

    if (!spd_calls_get(&((struct futures *)object)->calls, token, &entry))
        return NULL;
    if (entry.method == NULL)
        Py_RETURN_NONE;
    return PyTuple_Pack(3, entry.on_result,
                        entry.decoder != NULL ? entry.decoder : Py_None,
                        entry.method);
}

static PyObject *discard_entry(PyObject *object, PyObject *token)
{
    return spd_calls_discard(&((struct futures *)object)->calls, token);
}

/* take_all() -> list of (future, method)
 *
 * This is the end.  References to us are dropped, or else only the garbage
 * collector would find us, and the queue's descriptor. */
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

/* pending() -> list of the futures whose outcomes have not come yet */
static PyObject *get_pending(PyObject *object, PyObject *unused)
{
    const struct spd_entries *entries =
        &((struct futures *)object)->calls.entries;
    PyObject *list = PyList_New(0);

    (void)unused;
    for (uint32_t i = 0; list != NULL && i < entries->used; i++)
        if (entries->list[i].method != NULL &&
            PyList_Append(list, entries->list[i].on_result) != 0)
            Py_CLEAR(list);
    return list;
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "client", "queue",     "completions",      "keep",
        "handle", "codec",     "refuse",           "rest",
        "loop",   "when_room", "get_running_loop", "pending",
        "call",   "slow",      "slow_us",          "wait",
        NULL};
    struct futures *self = (struct futures *)object;
    PyObject *client, *queue, *completions, *keep, *handle, *codec, *refuse;
    PyObject *rest, *loop, *when_room, *get_running_loop, *pending, *call_type;
    PyObject *slow, *wait;
    unsigned long long slow_us;

    if (self->loop.object != NULL) {
        PyErr_SetString(PyExc_TypeError, "already initialised");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$O!O!O!OOOOOOOOOOOKO", names, &PyLong_Type, &client,
            &PyLong_Type, &queue, &PyLong_Type, &completions, &keep, &handle,
            &codec, &refuse, &rest, &loop, &when_room, &get_running_loop,
            &pending, &call_type, &slow, &slow_us, &wait))
        return -1;
    if (!spd_event_loop_init(&self->loop, loop, get_running_loop) ||
        !spd_calls_init(&self->calls, client, queue, handle, keep, codec,
                        refuse))
        return -1; /* clear() clears what exists */
    self->delivery.completions = PyLong_AsVoidPtr(completions);
    self->delivery.rest = Py_NewRef(rest);
    self->delivery.slow = slow == Py_None ? NULL : Py_NewRef(slow);
    self->delivery.slow_us = slow_us;
    self->delivery.waits = &self->waits;
    self->when_room = Py_NewRef(when_room);
    self->call_type = Py_NewRef(call_type);
    self->maker = (struct spd_maker){
        .object = object,
        .type = Py_NewRef(pending),
        .client = self->calls.client,
        .begin = begin,
    };
    return spd_waits_init(&self->waits, object, wait, &self->loop) ? 0 : -1;
}

static const size_t owned[] = {
    offsetof(struct futures, flush),
    offsetof(struct futures, go_on),
    offsetof(struct futures, when_room),
    offsetof(struct futures, call_type),
    offsetof(struct futures, delivery.rest),
    offsetof(struct futures, delivery.slow),
    offsetof(struct futures, delivery.future_type),
    offsetof(struct futures, delivery.set_result),
    offsetof(struct futures, maker.type),
};

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct futures *self = (struct futures *)object;

    Py_VISIT(Py_TYPE(object));
    int stopped = spd_visit_owned(self, owned, SPD_COUNT(owned), visit, arg);
    if (stopped == 0)
        stopped = spd_event_loop_visit(&self->loop, visit, arg);
    if (stopped == 0)
        stopped = spd_waits_visit(&self->waits, visit, arg);
    return stopped != 0 ? stopped : spd_calls_visit(&self->calls, visit, arg);
}

static int clear(PyObject *object)
{
    struct futures *self = (struct futures *)object;

    spd_event_loop_clear(&self->loop);
    spd_waits_clear(&self->waits);
    spd_clear_owned(self, owned, SPD_COUNT(owned));
    spd_calls_clear(&self->calls);
    return 0;
}

static PyMethodDef methods[] = {
    {"call", call, METH_O, "call(prepared): what to await."},
    {"notification", notification, METH_O,
     "notification(prepared): submit it; what to await, or None."},
    {"start", start, METH_VARARGS,
     "start(prepared, on_done, since_us): (Call, future); None: there is no "
     "room."},
    {"again", again, METH_VARARGS,
     "again(what _when_room() was given, ms): whether there was room."},
    {"get", get_entry, METH_O,
     "get(token): its (future, decoder, method), or None."},
    {"discard", discard_entry, METH_O, "discard(token): forget its entry."},
    {"pending", get_pending, METH_NOARGS,
     "pending(): the futures whose outcomes have not come yet."},
    {"take_all", take_all, METH_NOARGS,
     "take_all(): all entries' (future, method)."},
    {"on_ready", spd_on_ready, METH_NOARGS,
     "on_ready(): a descriptor is readable."},
    {"flush", spd_flush, METH_NOARGS,
     "flush(): send what this turn of the event loop submitted."},
    {"look", spd_look, METH_NOARGS,
     "look(): send what was submitted, and deliver some of what is there."},
    {"fetch", spd_fetch, METH_NOARGS, "fetch(): deliver all that is there."},
    {"go_on", spd_go_on, METH_NOARGS,
     "go_on(): deliver more of what is there."},
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
