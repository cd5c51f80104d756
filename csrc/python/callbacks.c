/* jsonrpcc._speedups.Callbacks: calls whose outcomes go to callbacks. */

#include "python/callbacks.h"

#include "python/arguments.h"
#include "python/call.h"
#include "python/calls.h"
#include "python/hush.h"
#include "python/object.h"
#include "python/room.h"

struct callbacks {
    PyObject_HEAD struct spd_calls calls;
    PyObject *call_type;  /* jsonrpcc.Call */
    PyObject *report;     /* called with (method, exception) of a callback */
    int32_t timeout_ms;   /* of calls that do not say */
    unsigned long thread; /* that runs the callbacks; 0: none yet */
};

/* ---- submitting ---- */

/* Like spd_entries_put(), with the callbacks that spd_quieten returns. */
static uint64_t put_quietened(struct spd_entries *entries,
                              const struct spd_arguments *a)
{
    PyObject *on_result = a->on_result, *on_error = a->on_error;
    uint64_t token = SPD_NO_ENTRY;
    PyObject *both = PyObject_CallFunctionObjArgs(
        spd_quieten, on_result != NULL ? on_result : Py_None,
        on_error != NULL ? on_error : Py_None, NULL);

    if (both != NULL && PyArg_ParseTuple(both, "OO", &on_result, &on_error))
        token = spd_entries_put(entries, on_result, on_error, a->method,
                                a->decoder);
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

static uint64_t put(struct spd_entries *entries, const struct spd_arguments *a)
{
    if (!is_callback(a->on_result, "on_result") ||
        !is_callback(a->on_error, "on_error"))
        return SPD_NO_ENTRY;
    return spd_hushed > 0 ? put_quietened(entries, a)
                          : spd_entries_put(entries, a->on_result, a->on_error,
                                            a->method, a->decoder);
}

/* Submit a call together with its entry, or neither.  Returns the id, a negated
 * status, or 0 with an exception. */
static int64_t submit(struct callbacks *self, const struct spd_arguments *a)
{
    struct spd_entries *entries = &self->calls.entries;

    if ((a->flags & JSONRPCC_NOTIFICATION) != 0)
        return spd_submit(&self->calls, a, 0, 0);
    uint64_t token = put(entries, a);
    if (token == SPD_NO_ENTRY)
        return 0;
    int64_t id = spd_submit(&self->calls, a, token, 0);
    if (id <= 0)
        spd_entries_discard(entries, token);
    return id;
}

/* Like submit(), but wait for room if there is none. */
static int64_t submit_with_room(struct callbacks *self, struct spd_arguments *a)
{
    int64_t id = submit(self, a);
    struct spd_room room;

    if (id != -JSONRPCC_EFULL)
        return id;
    if (PyThread_get_thread_ident() == self->thread) {
        /* We would wait for ourselves; there is a reserve for this. */
        a->flags |= JSONRPCC_RESERVE;
        return submit(self, a);
    }
    if (!a->block)
        return id;
    a->since_us = spd_now_us();
    spd_room_init(&room, self->calls.client, self->calls.queue, a->since_us,
                  a->timeout_ms > 0 ? a->timeout_ms : self->timeout_ms);
    while (id == -JSONRPCC_EFULL && spd_room_wait(&room))
        id = submit(self, a);
    return PyErr_Occurred() ? 0 : id;
}

/* Whether the call was accepted.  If not, an exception is set, unless this is a
 * forked child that has to open the client anew.  After acceptance nothing may
 * fail, and no Python code runs until the caller has its Call. */
static bool accept(struct callbacks *self, struct spd_arguments *a,
                   PyObject *call)
{
    int64_t id = submit_with_room(self, a);

    if (id < 0 && id != -JSONRPCC_EFOREIGN)
        spd_refuse(self->calls.refuse, (jsonrpcc_status)-id, a);
    if (id <= 0)
        return false;
    if (call != NULL)
        spd_call_set_id(call, (uint64_t)id);
    return true;
}

PyObject *spd_request(PyObject *object, PyObject *read, PyObject *const *args,
                      Py_ssize_t n, PyObject *kwnames)
{
    static const struct spd_style style = {
        .most = 4,
        .callbacks = true,
        .block = true,
    };
    struct callbacks *self = (struct callbacks *)object;
    struct spd_arguments a;

    if (!spd_read(&a, &style, &self->calls.codec, read, args, n, kwnames))
        return NULL;
    PyObject *call = spd_call_new(self->call_type, self->calls.handle,
                                  self->calls.client, a.method);
    if (call != NULL && !accept(self, &a, call))
        Py_CLEAR(call);
    spd_arguments_clear(&a);
    return call;
}

PyObject *spd_notification(PyObject *object, PyObject *read,
                           PyObject *const *args, Py_ssize_t n,
                           PyObject *kwnames)
{
    static const struct spd_style style = {
        .most = 2,
        .notification = true,
        .block = true,
    };
    struct callbacks *self = (struct callbacks *)object;
    struct spd_arguments a;

    if (!spd_read(&a, &style, &self->calls.codec, read, args, n, kwnames))
        return NULL;
    a.flags |= JSONRPCC_NOTIFICATION;
    bool accepted = accept(self, &a, NULL);
    spd_arguments_clear(&a);
    return accepted ? Py_NewRef(Py_None) : NULL;
}

/* ---- delivering ---- */

/* get(token) -> (on_result, on_error, decoder, method), or None */
static PyObject *get_entry(PyObject *object, PyObject *token)
{
    struct spd_entry entry;

    if (!spd_calls_get(&((struct callbacks *)object)->calls, token, &entry))
        return NULL;
    if (entry.method == NULL)
        Py_RETURN_NONE;
    return PyTuple_Pack(4, entry.on_result != NULL ? entry.on_result : Py_None,
                        entry.on_error != NULL ? entry.on_error : Py_None,
                        entry.decoder != NULL ? entry.decoder : Py_None,
                        entry.method);
}

static PyObject *discard_entry(PyObject *object, PyObject *token)
{
    return spd_calls_discard(&((struct callbacks *)object)->calls, token);
}

/* A callback raised: report that and continue.  If even the report raises,
 * Python's unraisable hook gets it. */
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

/* is_foreign(): holds the GIL, in which a child may have been forked */
static PyObject *is_foreign(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(
        spd_core->queue_is_foreign(((struct callbacks *)object)->calls.queue));
}

/* adopt(address of its jsonrpcc_seat, or 0): from now on, this thread runs the
 * callbacks */
static PyObject *adopt(PyObject *object, PyObject *address)
{
    jsonrpcc_seat *seat = PyLong_AsVoidPtr(address);

    if (seat == NULL && PyErr_Occurred())
        return NULL;
    if (seat != NULL)
        spd_core->crew_begin(seat);
    ((struct callbacks *)object)->thread = PyThread_get_thread_ident();
    Py_RETURN_NONE;
}

/* disown(): this thread does not run them any more */
static PyObject *disown(PyObject *object, PyObject *unused)
{
    (void)unused;
    ((struct callbacks *)object)->thread = 0;
    Py_RETURN_NONE;
}

/* Deliver results that can be decoded, and no more; the counts say what is
 * left.  False: SystemExit is set, since a callback forked.  The remaining
 * callbacks are the parent's, and so is what this thread, the only one of the
 * child, was started for. */
static bool deliver_results(struct callbacks *self,
                            jsonrpcc_completions *completions)
{
    struct spd_entry entry;
    bool forked = false;

    if (completions->count == 0)
        return true;
    PyObject *results = spd_decode_entries(&self->calls.codec,
                                           &self->calls.entries, completions);
    if (results == NULL) {
        PyErr_Clear();
        return true;
    }
    for (size_t i = 0; i < completions->count && !forked; i++) {
        if (!spd_entries_take(&self->calls.entries, completions->tokens[i],
                              &entry))
            continue;
        if (entry.on_result != NULL && entry.on_result != Py_None) {
            PyObject *done = PyObject_CallFunctionObjArgs(
                entry.on_result, PyList_GetItem(results, (Py_ssize_t)i), NULL);
            if (done == NULL)
                tell_exception(self, entry.method);
            Py_XDECREF(done);
        }
        spd_entry_drop(&entry);
        forked = spd_core->queue_is_foreign(self->calls.queue);
    }
    Py_DECREF(results);
    completions->count = 0;
    if (forked)
        PyErr_SetNone(PyExc_SystemExit);
    return !forked;
}

/* deliver(address of a jsonrpcc_completions) -> whether that was all */
static PyObject *deliver(PyObject *object, PyObject *address)
{
    jsonrpcc_completions *completions = PyLong_AsVoidPtr(address);

    if (completions == NULL ||
        !deliver_results((struct callbacks *)object, completions))
        return NULL;
    return PyBool_FromLong(spd_is_delivered(completions));
}

/* take(address of a jsonrpcc_completions) -> whether there may be more, or None
 *
 * Fetches and delivers, as often as is fair to other clients whose callbacks
 * the same thread runs.  None: deliver what is left in the completions. */
static PyObject *take(PyObject *object, PyObject *address)
{
    enum { SOME_FETCHES = 8 };
    struct callbacks *self = (struct callbacks *)object;
    jsonrpcc_completions *completions = PyLong_AsVoidPtr(address);

    if (completions == NULL)
        return NULL;
    for (int i = 0; i < SOME_FETCHES; i++) {
        if (!spd_core->queue_fetch(self->calls.queue, completions))
            Py_RETURN_FALSE;
        if (!deliver_results(self, completions))
            return NULL;
        if (!spd_is_delivered(completions))
            Py_RETURN_NONE;
    }
    Py_RETURN_TRUE;
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"client", "queue",      "handle", "keep", "codec",
                            "report", "timeout_ms", "refuse", "call", NULL};
    struct callbacks *self = (struct callbacks *)object;
    PyObject *client, *queue, *handle, *keep, *codec, *report;
    PyObject *refuse, *call_type;
    int timeout_ms;

    if (self->call_type != NULL) {
        PyErr_SetString(PyExc_TypeError, "already initialised");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$O!O!OOOOiOO", names,
                                     &PyLong_Type, &client, &PyLong_Type,
                                     &queue, &handle, &keep, &codec, &report,

                                     &timeout_ms, &refuse, &call_type) ||
        !spd_calls_init(&self->calls, client, queue, handle, keep, codec,
                        refuse))
        return -1;
    self->report = Py_NewRef(report);
    self->timeout_ms = timeout_ms;
    self->call_type = Py_NewRef(call_type);
    return 0;
}

static const size_t owned[] = {
    offsetof(struct callbacks, call_type),
    offsetof(struct callbacks, report),
};

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct callbacks *self = (struct callbacks *)object;

    Py_VISIT(Py_TYPE(object));
    int stopped = spd_visit_owned(self, owned, SPD_COUNT(owned), visit, arg);
    return stopped != 0 ? stopped : spd_calls_visit(&self->calls, visit, arg);
}

static int clear(PyObject *object)
{
    struct callbacks *self = (struct callbacks *)object;

    spd_clear_owned(self, owned, SPD_COUNT(owned));
    spd_calls_clear(&self->calls);
    return 0;
}

static Py_ssize_t length(PyObject *object)
{
    return ((struct callbacks *)object)->calls.entries.live;
}

static PyMethodDef methods[] = {
    {"get", get_entry, METH_O,
     "get(token): its (on_result, on_error, decoder, method), or None."},
    {"discard", discard_entry, METH_O, "discard(token): forget its entry."},
    {"is_foreign", is_foreign, METH_NOARGS,
     "is_foreign(): whether another process has made it, and forked since."},
    {"adopt", adopt, METH_O,
     "adopt(seat): this thread runs the callbacks from now on, in a crew or, 0, "
     "alone."},
    {"disown", disown, METH_NOARGS,
     "disown(): this thread does not run the callbacks any more."},
    {"deliver", deliver, METH_O,
     "deliver(completions): run the callbacks of its results; whether that was all."},
    {"take", take, METH_O,
     "take(completions): fetch, and run callbacks; whether there may be more."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Whom to tell the outcome of which call."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, spd_dealloc},
    {Py_tp_methods, methods},
    {Py_sq_length, length},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Callbacks",
    .basicsize = sizeof(struct callbacks),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *spd_callbacks_type(void)
{
    return PyType_FromSpec(&spec);
}
