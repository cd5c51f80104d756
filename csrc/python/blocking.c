/* jsonrpcc._speedups.Blocking: calls whose callers wait.
 *
 * Each waiting thread has a sync of its own; unused ones are kept.  The GIL is
 * released while waiting, and signals are checked between slices. */

#include "python/blocking.h"

#include "python/arguments.h"
#include "python/method_ids.h"
#include "python/object.h"
#include "python/room.h"

enum { KEPT = 16 };

struct blocking {
    PyObject_HEAD struct spd_codec codec;
    jsonrpcc_client *client;
    PyObject *handle; /* keeps client */
    PyObject *make;   /* () -> (address of a new sync, what keeps it) */
    PyObject
        *fail; /* (address, method, decoder) -> the exception of its outcome */
    PyObject *refuse; /* that of spd_refuse() */
    PyObject *slow;   /* (address, method): its outcome, a result, was slow */
    uint64_t slow_us; /* from when on it is; UINT64_MAX: never */
    struct spd_method_ids method_ids;
    int32_t timeout_ms;   /* of calls that do not say */
    PyObject *kept[KEPT]; /* pairs that make() returned */
    int count;
};

static PyObject *take(struct blocking *self)
{
    if (self->count > 0)
        return self->kept[--self->count];
    return PyObject_CallFunctionObjArgs(self->make, NULL);
}

/* Steals pair.  If enough are kept, it is freed, and its sync with it. */
static void give_back(struct blocking *self, PyObject *pair)
{
    if (self->count < KEPT)
        self->kept[self->count++] = pair;
    else
        Py_DECREF(pair);
}

/* The outcome's status, or why the call was refused; or EPENDING with an
 * exception: a signal handler raised. */
static jsonrpcc_status wait(struct blocking *self, jsonrpcc_sync *sync,
                            const struct spd_arguments *a)
{
    jsonrpcc_call call = spd_as_call(a);

    call.method_id = spd_method_ids_find(&self->method_ids, self->client, a);
    PyThreadState *state = PyEval_SaveThread();
    jsonrpcc_status status = spd_core->sync_submit(sync, &call, SPD_SLICE_MS);
    PyEval_RestoreThread(state);
    while (status == JSONRPCC_EPENDING && PyErr_CheckSignals() == 0) {
        state = PyEval_SaveThread();
        status = spd_core->sync_wait(sync, SPD_SLICE_MS);
        PyEval_RestoreThread(state);
        /* A handler forked.  The call was made, so it is not made again
         * here. */
        if (status == JSONRPCC_EFOREIGN)
            spd_refuse(self->refuse, status, a);
    }
    return status;
}

/* Like wait(), but first wait for room if there is none. */
static jsonrpcc_status wait_with_room(struct blocking *self,
                                      jsonrpcc_sync *sync,
                                      struct spd_arguments *a)
{
    jsonrpcc_status status = wait(self, sync, a);
    struct spd_room room;

    if (status != JSONRPCC_EFULL || !a->block)
        return status;
    a->since_us = spd_now_us();
    spd_room_init(&room, self->client, NULL, a->since_us,
                  a->timeout_ms > 0 ? a->timeout_ms : self->timeout_ms);
    while (status == JSONRPCC_EFULL && spd_room_wait(&room))
        status = wait(self, sync, a);
    return status;
}

/* Have a slow result logged.  False: an exception is set. */
static bool tell_slow(struct blocking *self, PyObject *pair,
                      const struct spd_arguments *a)
{
    PyObject *done = PyObject_CallFunctionObjArgs(
        self->slow, PyTuple_GetItem(pair, 0), a->method, NULL);

    Py_XDECREF(done);
    return done != NULL;
}

/* The result or exception of a call that ended with this status. */
static PyObject *conclude(struct blocking *self, PyObject *pair,
                          jsonrpcc_sync *sync, jsonrpcc_status status,
                          const struct spd_arguments *a)
{
    if (status == JSONRPCC_OK) {
        const jsonrpcc_outcome *outcome = spd_core->sync_outcome(sync);
        if (outcome->elapsed_us >= self->slow_us && !tell_slow(self, pair, a))
            return NULL;
        PyObject *result = spd_decode_by(a->decoder, &self->codec,
                                         outcome->json, outcome->json_len);
        /* The codec's errors become another exception for the caller, but
         * running out of memory is not an error of the codec. */
        if (result != NULL || !PyErr_ExceptionMatches(PyExc_Exception) ||
            PyErr_ExceptionMatches(PyExc_MemoryError))
            return result;
        PyErr_Clear();
    }
    PyObject *error = PyObject_CallFunctionObjArgs(
        self->fail, PyTuple_GetItem(pair, 0), a->method,
        a->decoder != NULL ? a->decoder : Py_None, NULL);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

PyObject *spd_call(PyObject *object, PyObject *read, PyObject *const *args,
                   Py_ssize_t n, PyObject *kwnames)
{
    static const struct spd_style style = {.most = 2, .block = true};
    struct blocking *self = (struct blocking *)object;
    struct spd_arguments a;
    PyObject *result = NULL;

    if (!spd_read(&a, &style, &self->codec, read, args, n, kwnames))
        return NULL;
    PyObject *pair = take(self);
    jsonrpcc_sync *sync =
        pair == NULL ? NULL : PyLong_AsVoidPtr(PyTuple_GetItem(pair, 0));
    jsonrpcc_status status =
        sync == NULL ? JSONRPCC_EPENDING : wait_with_room(self, sync, &a);
    if (status == JSONRPCC_EPENDING) {
        Py_CLEAR(pair); /* this ends the call, if there is one */
    } else if (spd_core->sync_outcome(sync) != NULL) {
        result = conclude(self, pair, sync, status, &a);
    } else if (status != JSONRPCC_EFOREIGN && !PyErr_Occurred()) {
        spd_refuse(self->refuse, status, &a);
    }
    if (pair != NULL)
        give_back(self, pair);
    spd_arguments_clear(&a);
    return result;
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"client", "handle",     "codec", "make",    "fail",
                            "refuse", "timeout_ms", "slow",  "slow_us", NULL};
    struct blocking *self = (struct blocking *)object;
    PyObject *client, *handle, *codec, *make, *fail, *refuse, *slow;
    unsigned long long slow_us;
    int timeout_ms;

    if (self->make != NULL) {
        PyErr_SetString(PyExc_TypeError, "already initialised");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$O!OOOOOiOK", names, &PyLong_Type, &client, &handle,
            &codec, &make, &fail, &refuse, &timeout_ms, &slow, &slow_us) ||
        !spd_codec_read(&self->codec, codec))
        return -1;
    self->client = PyLong_AsVoidPtr(client);
    self->handle = Py_NewRef(handle);
    self->make = Py_NewRef(make);
    self->fail = Py_NewRef(fail);
    self->refuse = Py_NewRef(refuse);
    self->slow = Py_NewRef(slow);
    self->slow_us = slow == Py_None ? UINT64_MAX : slow_us;
    self->timeout_ms = timeout_ms;
    return 0;
}

static const size_t owned[] = {
    offsetof(struct blocking, make),
    offsetof(struct blocking, fail),
    offsetof(struct blocking, refuse),
    offsetof(struct blocking, slow),
};

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct blocking *self = (struct blocking *)object;

    /* Not the handle and what is kept, as in calls.c. */
    Py_VISIT(Py_TYPE(object));
    int stopped = spd_visit_owned(self, owned, SPD_COUNT(owned), visit, arg);
    return stopped != 0 ? stopped : spd_codec_visit(&self->codec, visit, arg);
}

static int clear(PyObject *object)
{
    struct blocking *self = (struct blocking *)object;

    while (self->count > 0)
        Py_DECREF(self->kept[--self->count]);
    spd_codec_clear(&self->codec);
    spd_method_ids_clear(&self->method_ids);
    spd_clear_owned(self, owned, SPD_COUNT(owned));
    Py_CLEAR(self->handle); /* last: what was kept needs it */
    return 0;
}

static PyType_Slot slots[] = {
    {Py_tp_doc, "Calls whose callers wait."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, spd_dealloc},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Blocking",
    .basicsize = sizeof(struct blocking),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *spd_blocking_type(void)
{
    return PyType_FromSpec(&spec);
}
