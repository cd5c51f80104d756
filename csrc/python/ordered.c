/* jsonrpcc._speedups.Ordered: the outcomes of a bulk of calls, in order.
 *
 * An iterator over a ring.  The token of a call is its number in the bulk.
 * Outcomes are stored by number whenever they arrive, and if the next one has
 * not arrived, more() is called. */

#include "python/ordered.h"

#include "python/attempt.h"
#include "python/codec.h"

#include <stddef.h>
#include <stdlib.h>
#include <structmember.h>
#include <time.h>

struct place {
    PyObject *outcome; /* NULL: has not arrived */
    bool failed;
};

struct ordered {
    PyObject_HEAD struct spd_codec codec;
    PyObject *more; /* (self) -> False: there are no more.  NULL: at the end */
    struct place *ring;
    unsigned long long turn; /* the number of the next outcome */
    unsigned long long mask;
    unsigned long long come; /* how many have arrived */
    char return_exceptions;
    bool executing; /* more() is running: no other thread may enter */
};

/* Seconds, as cheaply as possible: a clock that advances by a few milliseconds
 * at a time. */
static double coarse_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* take(iterator, count, seconds) -> (list of at most count items, whether each
 * is a dict, list or tuple, whether there are more, seconds spent, what the
 * iterator raised or None)
 *
 * Stops after that many seconds, so that what it has can be sent.  An exception
 * that is not an Exception is raised at once. */
PyObject *spd_take(PyObject *module, PyObject *args)
{
    PyObject *iterator, *error = NULL;
    Py_ssize_t count;
    bool plain = true;
    double limit, took = 0, start = coarse_seconds();

    (void)module;
    if (!PyArg_ParseTuple(args, "Ond", &iterator, &count, &limit))
        return NULL;
    PyObject *list = PyList_New(0);
    bool good = list != NULL, more = true;
    for (Py_ssize_t n = 1; good && more && n <= count && took < limit; n++) {
        PyObject *item = PyIter_Next(iterator);
        more = item != NULL;
        if (more) {
            plain =
                plain && (PyDict_CheckExact(item) || PyList_CheckExact(item) ||
                          PyTuple_CheckExact(item));
            good = PyList_Append(list, item) == 0;
            Py_DECREF(item);
        }
        if (n % 4 == 0 || n == count || !more) /* reading a clock costs, too */
            took = coarse_seconds() - start;
    }
    if (list != NULL && PyErr_Occurred() &&
        PyErr_ExceptionMatches(PyExc_Exception))
        error = spd_take_exception();
    if (list == NULL || PyErr_Occurred()) {
        Py_XDECREF(list);
        return NULL;
    }
    return Py_BuildValue("(NOOdN)", list, plain ? Py_True : Py_False,
                         more ? Py_True : Py_False, took,
                         error != NULL ? error : Py_NewRef(Py_None));
}

/* Steals outcome. */
static bool put(struct ordered *self, unsigned long long number,
                PyObject *outcome, bool failed)
{
    struct place *place = &self->ring[number & self->mask];

    if (number - self->turn > self->mask || place->outcome != NULL) {
        Py_DECREF(outcome);
        PyErr_SetString(PyExc_IndexError, "not the number of a pending call");
        return false;
    }
    *place = (struct place){outcome, failed};
    self->come++;
    return true;
}

/* put(number, outcome, failed) */
static PyObject *put_one(PyObject *object, PyObject *args)
{
    unsigned long long number;
    PyObject *outcome;
    int failed;

    if (!PyArg_ParseTuple(args, "KOp", &number, &outcome, &failed) ||
        !put((struct ordered *)object, number, Py_NewRef(outcome), failed != 0))
        return NULL;
    Py_RETURN_NONE;
}

/* deliver(address of its completions) -> whether its results could be
 * decoded */
static PyObject *deliver(PyObject *object, PyObject *address)
{
    struct ordered *self = (struct ordered *)object;
    const jsonrpcc_completions *completions = PyLong_AsVoidPtr(address);
    bool good = true;

    if (completions == NULL)
        return NULL;
    PyObject *results = spd_decode_many(&self->codec, completions);
    if (results == NULL && PyErr_Occurred())
        return NULL;
    if (results == NULL)
        Py_RETURN_FALSE;
    for (size_t i = 0; good && i < completions->count; i++)
        good = put(self, completions->tokens[i],
                   Py_NewRef(PyList_GetItem(results, (Py_ssize_t)i)), false);
    Py_DECREF(results);
    if (!good)
        return NULL;
    Py_RETURN_TRUE;
}

/* Call more() until the next outcome has arrived.  False: there is none, or an
 * exception is set; either way, this is the end. */
static bool wait(struct ordered *self, const struct place *place)
{
    while (place->outcome == NULL) {
        PyObject *more = self->more == NULL ? NULL : Py_NewRef(self->more);
        PyObject *is_more =
            more == NULL ? NULL
                         : PyObject_CallFunctionObjArgs(more, self, NULL);
        bool ended = is_more == NULL || is_more == Py_False;
        Py_XDECREF(more);
        Py_XDECREF(is_more);
        if (ended) {
            Py_CLEAR(self->more);
            return false;
        }
    }
    return true;
}

/* more() runs the caller's code (the iterator of params, a codec, signal
 * handlers) and lets other threads run: none of that may enter here. */
static bool is_free(const struct ordered *self)
{
    if (self->executing)
        PyErr_SetString(PyExc_ValueError, "map iterator already executing");
    return !self->executing;
}

static PyObject *next(PyObject *object)
{
    struct ordered *self = (struct ordered *)object;
    struct place *place = &self->ring[self->turn & self->mask];

    if (!is_free(self) || self->more == NULL)
        return NULL;
    if (place->outcome == NULL) {
        self->executing = true;
        bool has_come = wait(self, place);
        self->executing = false;
        if (!has_come)
            return NULL;
    }
    struct place taken = *place;
    *place = (struct place){NULL, false};
    self->turn++;
    if (!taken.failed || self->return_exceptions)
        return taken.outcome;
    Py_CLEAR(self->more);
    PyErr_SetObject((PyObject *)Py_TYPE(taken.outcome), taken.outcome);
    Py_DECREF(taken.outcome);
    return NULL;
}

static PyObject *iter(PyObject *object)
{
    return Py_NewRef(object);
}

static int init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"codec", "more", "window", "return_exceptions",
                            NULL};
    struct ordered *self = (struct ordered *)object;
    PyObject *codec, *more;
    unsigned long long window, size = 1;
    int return_exceptions;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$OOKp", names, &codec,
                                     &more, &window, &return_exceptions))
        return -1;
    while (size < window && size < (1ULL << 40))
        size *= 2;
    if (self->ring != NULL) {
        PyErr_SetString(PyExc_TypeError, "already initialised");
        return -1;
    }
    if (!spd_codec_read(&self->codec, codec))
        return -1;
    self->ring = calloc((size_t)size, sizeof *self->ring);
    if (self->ring == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->mask = size - 1;
    self->return_exceptions = return_exceptions != 0;
    self->more = Py_NewRef(more);
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct ordered *self = (struct ordered *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->more);
    for (size_t i = 0; self->ring != NULL && i <= self->mask; i++)
        Py_VISIT(self->ring[i].outcome);
    return spd_codec_visit(&self->codec, visit, arg);
}

static int clear(PyObject *object)
{
    struct ordered *self = (struct ordered *)object;

    spd_codec_clear(&self->codec);
    Py_CLEAR(self->more);
    for (size_t i = 0; self->ring != NULL && i <= self->mask; i++)
        Py_CLEAR(self->ring[i].outcome);
    return 0;
}

/* close(): like a generator's; the outcomes of calls in flight are dropped */
static PyObject *close_(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (!is_free((struct ordered *)object))
        return NULL;
    clear(object);
    Py_RETURN_NONE;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    clear(object);
    free(((struct ordered *)object)->ring);
    release(object);
    Py_DECREF(type);
}

/* Whether the next outcome has arrived. */
static PyObject *get_ready(PyObject *object, void *unused)
{
    const struct ordered *self = (struct ordered *)object;

    (void)unused;
    return PyBool_FromLong(self->ring != NULL &&
                           self->ring[self->turn & self->mask].outcome != NULL);
}

static PyGetSetDef attributes[] = {
    {"ready", get_ready, NULL, "Whether the next outcome has come.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"put", put_one, METH_VARARGS,
     "put(number, outcome, failed): the outcome of one call."},
    {"deliver", deliver, METH_O,
     "deliver(completions): put its results; whether it could."},
    {"close", close_, METH_NOARGS, "close(): have nothing come any more."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"turn", T_ULONGLONG, offsetof(struct ordered, turn), READONLY,
     "The number of the call whose outcome comes next."},
    {"come", T_ULONGLONG, offsetof(struct ordered, come), READONLY,
     "How many outcomes have come."},
    {"return_exceptions", T_BOOL, offsetof(struct ordered, return_exceptions),
     READONLY, "Whether errors stand among the results."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The outcomes of a bulk of calls, in their order."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, init},
    {Py_tp_iter, iter},
    {Py_tp_iternext, next},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, attributes},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Ordered",
    .basicsize = sizeof(struct ordered),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

PyObject *spd_ordered_type(void)
{
    return PyType_FromSpec(&spec);
}
