/* jsonrpcc._fast.Blocking: calls whose callers wait.
 *
 * Each waiting thread has a sync of its own; those not in use are kept.  The
 * GIL is given up while waiting, and signals are looked at between slices. */

#include "python/module.h"

enum { KEPT = 16 };

struct blocking {
    PyObject_HEAD struct fast_codec codec;
    PyObject *make;      /* () -> (address of a new sync, what keeps it) */
    PyObject *fail;      /* (address, method) -> the exception of its outcome */
    PyObject *otherwise; /* call() for unusual arguments */
    int32_t slice_ms;
    PyObject *kept[KEPT]; /* pairs as of make() */
    int count;
};

static PyObject *take(struct blocking *self)
{
    if (self->count > 0)
        return self->kept[--self->count];
    return PyObject_CallFunctionObjArgs(self->make, NULL);
}

/* Steals pair.  More than so many are freed with it. */
static void give_back(struct blocking *self, PyObject *pair)
{
    if (self->count < KEPT)
        self->kept[self->count++] = pair;
    else
        Py_DECREF(pair);
}

/* The outcome's status, or why the call was refused; EPENDING with an
 * exception: a signal handler raised. */
static jsonrpcc_status wait(struct blocking *self, jsonrpcc_sync *sync,
                            const struct fast_arguments *a, PyObject *text)
{
    char *params = NULL;
    Py_ssize_t len = 0;

    if (text != Py_None)
        PyBytes_AsStringAndSize(text, &params, &len);
    PyThreadState *state = PyEval_SaveThread();
    jsonrpcc_status status = fast_core.sync_call(
        sync, a->method_text, (size_t)a->method_len, params, (size_t)len,
        a->timeout_ms, a->flags, self->slice_ms);
    PyEval_RestoreThread(state);
    while (status == JSONRPCC_EPENDING && PyErr_CheckSignals() == 0) {
        state = PyEval_SaveThread();
        status = fast_core.sync_wait(sync, self->slice_ms);
        PyEval_RestoreThread(state);
    }
    return status;
}

/* What comes of a call that has ended with such a status. */
static PyObject *conclude(struct blocking *self, PyObject *pair,
                          jsonrpcc_sync *sync, jsonrpcc_status status,
                          PyObject *method)
{
    if (status == JSONRPCC_OK) {
        const jsonrpcc_outcome *outcome = fast_core.sync_outcome(sync);
        PyObject *result =
            fast_decode(&self->codec, outcome->json, outcome->json_len);
        /* Of the codec's errors the caller gets another one, but Python being
         * out of memory is none of them. */
        if (result != NULL || !PyErr_ExceptionMatches(PyExc_Exception) ||
            PyErr_ExceptionMatches(PyExc_MemoryError))
            return result;
        PyErr_Clear();
    }
    PyObject *error = PyObject_CallFunctionObjArgs(
        self->fail, PyTuple_GetItem(pair, 0), method, NULL);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}

static PyObject *call(PyObject *object, PyObject *const *args, Py_ssize_t n,
                      PyObject *kwnames)
{
    struct blocking *self = (struct blocking *)object;
    struct fast_arguments a;
    PyObject *text = NULL, *result = NULL;

    if (fast_read_arguments(&a, args, n, kwnames, 2) && a.on_result == NULL &&
        a.on_error == NULL)
        text = fast_encode(&self->codec, a.params);
    if (text == NULL)
        return PyErr_Occurred()
                   ? NULL
                   : fast_otherwise(self->otherwise, NULL, args, n, kwnames);
    PyObject *pair = take(self);
    jsonrpcc_sync *sync =
        pair == NULL ? NULL : PyLong_AsVoidPtr(PyTuple_GetItem(pair, 0));
    jsonrpcc_status status =
        sync == NULL ? JSONRPCC_EPENDING : wait(self, sync, &a, text);
    Py_DECREF(text);
    if (status == JSONRPCC_EPENDING) {
        Py_XDECREF(pair); /* with it goes the call, if there is one */
        return NULL;
    }
    bool has_ended = fast_core.sync_outcome(sync) != NULL;
    if (has_ended)
        result = conclude(self, pair, sync, status, a.method);
    give_back(self, pair);
    if (has_ended)
        return result;
    return fast_otherwise(self->otherwise, NULL, args, n, kwnames);
}

/* ---- the object ---- */

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"codec",     "make",     "fail",
                            "otherwise", "slice_ms", NULL};
    struct blocking *self = (struct blocking *)object;
    PyObject *codec, *make, *fail, *otherwise;
    int slice_ms;

    if (self->make != NULL) {
        PyErr_SetString(PyExc_TypeError, "made already");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OOOOi", names, &codec,
                                     &make, &fail, &otherwise, &slice_ms) ||
        !fast_codec_read(&self->codec, codec))
        return -1;
    self->make = Py_NewRef(make);
    self->fail = Py_NewRef(fail);
    self->otherwise = Py_NewRef(otherwise);
    self->slice_ms = slice_ms;
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct blocking *self = (struct blocking *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->make);
    Py_VISIT(self->fail);
    Py_VISIT(self->otherwise);
    for (int i = 0; i < self->count; i++)
        Py_VISIT(self->kept[i]);
    return fast_codec_visit(&self->codec, visit, arg);
}

static int clear(PyObject *object)
{
    struct blocking *self = (struct blocking *)object;

    while (self->count > 0)
        Py_DECREF(self->kept[--self->count]);
    fast_codec_clear(&self->codec);
    Py_CLEAR(self->make);
    Py_CLEAR(self->fail);
    Py_CLEAR(self->otherwise);
    return 0;
}

static PyMethodDef methods[] = {
    {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL | METH_KEYWORDS,
     "See jsonrpcc.Client.call."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Calls whose callers wait."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, fast_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._fast.Blocking",
    .basicsize = sizeof(struct blocking),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *fast_blocking_type(void)
{
    return PyType_FromSpec(&spec);
}
