#include "python/wait.h"

#include "python/attempt.h"
#include "python/object.h"

static const size_t owned[] = {
    offsetof(struct spd_waits, type),     offsetof(struct spd_waits, task_type),
    offsetof(struct spd_waits, get_loop), offsetof(struct spd_waits, get_debug),
    offsetof(struct spd_waits, finished),
};

static PyObject *copy_context, *run_;

bool spd_wait_init(void)
{
    PyObject *module = PyImport_ImportModule("contextvars");

    copy_context =
        module == NULL ? NULL : PyObject_GetAttrString(module, "copy_context");
    Py_XDECREF(module);
    run_ = PyUnicode_InternFromString("run");
    return copy_context != NULL && run_ != NULL;
}

static PyObject *get_itself(PyObject *loop, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(loop);
}

/* A future with a result, which tells a task to go on. */
static PyObject *new_finished(const struct spd_event_loop *loop)
{
    PyObject *future = PyObject_CallFunctionObjArgs(loop->create_future, NULL);
    PyObject *done = future == NULL ? NULL
                                    : PyObject_CallMethod(future, "set_result",
                                                          "O", Py_None);

    if (done == NULL)
        Py_CLEAR(future);
    Py_XDECREF(done);
    return future;
}

bool spd_waits_init(struct spd_waits *self, PyObject *object, PyObject *type,
                    const struct spd_event_loop *loop)
{
    static PyMethodDef get_loop = {"get_loop", get_itself, METH_NOARGS,
                                   "get_loop(): the event loop."};
    PyObject *asyncio;

    self->object = object;
    self->loop = loop;
    if (type == Py_None)
        return true;
    asyncio = PyImport_ImportModule("asyncio");
    if (asyncio != NULL)
        self->task_type = PyObject_GetAttrString(asyncio, "Task");
    Py_XDECREF(asyncio);
    self->get_loop = PyCFunction_New(&get_loop, loop->object);
    self->get_debug = PyObject_GetAttrString(loop->object, "get_debug");
    self->finished = new_finished(loop);
    self->type = Py_NewRef(type);
    return self->task_type != NULL && self->get_loop != NULL &&
           self->get_debug != NULL && self->finished != NULL;
}

bool spd_is_wait(const struct spd_waits *waits, PyObject *object)
{
    return (PyObject *)Py_TYPE(object) == waits->type;
}

/* ---- callbacks ---- */

/* Preserves an exception that is set. */
static bool is_closed(const struct spd_event_loop *loop)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyObject *closed = PyObject_CallMethod(loop->object, "is_closed", NULL);
    Py_XDECREF(closed);
    PyErr_Restore(type, value, traceback); /* instead of one that was raised */
    return closed == Py_True;
}

/* Have the event loop call what listens; a closed one calls nothing.  False: an
 * exception is set, and those that are left are still to be told. */
static bool tell_soon(struct spd_wait *self)
{
    const struct spd_event_loop *loop = self->waits->loop;

    if (loop->call_soon == NULL) { /* the garbage collector was here */
        spd_listeners_clear(&self->listeners);
        return true;
    }
    if (spd_listeners_call_soon(&self->listeners, loop->call_soon,
                                (PyObject *)self))
        return true;
    if (!is_closed(loop))
        return false;
    PyErr_Clear();
    spd_listeners_clear(&self->listeners);
    return true;
}

bool spd_wait_add(PyObject *wait, PyObject *function, PyObject *context)
{
    struct spd_wait *self = (struct spd_wait *)wait;
    PyObject *own = context != NULL && context != Py_None
                        ? Py_NewRef(context)
                        : PyObject_CallFunctionObjArgs(copy_context, NULL);
    bool added = own != NULL &&
                 spd_listeners_add(&self->listeners, function, own) &&
                 (self->state == SPD_PENDING || tell_soon(self));

    Py_XDECREF(own);
    return added;
}

/* add_done_callback(function, *, context=None) */
static PyObject *add_done_callback(PyObject *object, PyObject *const *args,
                                   size_t n, PyObject *kwnames)
{
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_Size(kwnames);

    if (spd_vectorcall_count(n) != 1 || named > 1 ||
        (named == 1 && PyUnicode_CompareWithASCIIString(
                           PyTuple_GetItem(kwnames, 0), "context") != 0)) {
        PyErr_SetString(PyExc_TypeError,
                        "add_done_callback(function, *, context=None)");
        return NULL;
    }
    if (!spd_wait_add(object, args[0], named == 1 ? args[1] : NULL))
        return NULL;
    Py_RETURN_NONE;
}

PyObject *spd_wait_new(struct spd_waits *waits)
{
    struct spd_wait *self =
        PyObject_GC_New(struct spd_wait, (PyTypeObject *)waits->type);

    if (self == NULL)
        return NULL;
    self->add_done_callback = add_done_callback;
    self->waits = waits;
    self->next = NULL;
    self->object = Py_NewRef(waits->object);
    self->listeners = (struct spd_listeners){NULL, NULL, NULL};
    self->result = self->error = NULL;
    self->state = SPD_PENDING;
    self->blocking = false;
    PyObject_GC_Track((PyObject *)self);
    return (PyObject *)self;
}

/* What the event loop does with an exception of what it calls.  False: it is
 * set, and is the loop's caller's. */
static bool report(struct spd_wait *self)
{
    if (PyErr_ExceptionMatches(PyExc_SystemExit) ||
        PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        return false;
    PyObject *error = spd_take_exception();
    PyObject *done = PyObject_CallMethod(
        self->waits->loop->object, "call_exception_handler", "{s:s,s:O,s:O}",
        "message", "Exception in a callback of a call", "exception", error,
        "future", self);
    if (done == NULL)
        PyErr_WriteUnraisable((PyObject *)self);
    Py_XDECREF(done);
    Py_XDECREF(error);
    return true;
}

/* Whether it wakes a task of asyncio that is written in C. */
static bool is_task(const struct spd_waits *self, PyObject *function)
{
    return PyCFunction_CheckExact(function) &&
           PyCFunction_GetSelf(function) != NULL &&
           (PyObject *)Py_TYPE(PyCFunction_GetSelf(function)) ==
               self->task_type;
}

static bool tell_now(struct spd_wait *self)
{
    PyObject *function, *context;

    while (spd_listeners_take(&self->listeners, &function, &context)) {
        /* A task wants to know whether there is an exception.  There is none,
         * and only a future of asyncio's own is asked without a call. */
        PyObject *argument = is_task(self->waits, function)
                                 ? self->waits->finished
                                 : (PyObject *)self;
        PyObject *done =
            PyObject_CallMethodObjArgs(context, run_, function, argument, NULL);
        bool told = done != NULL || report(self);
        Py_XDECREF(done);
        Py_DECREF(function);
        Py_DECREF(context);
        if (!told)
            return false;
    }
    return true;
}

static void put_first(struct spd_waits *self, struct spd_wait *wait)
{
    wait->next = self->first;
    self->first = wait;
    if (self->last == NULL)
        self->last = wait;
}

static void put_last(struct spd_waits *self, struct spd_wait *wait)
{
    wait->next = NULL;
    if (self->last == NULL)
        self->first = wait;
    else
        self->last->next = wait;
    self->last = wait;
}

static struct spd_wait *take_first(struct spd_waits *self)
{
    struct spd_wait *wait = self->first;

    if (wait != NULL)
        self->first = wait->next;
    if (self->first == NULL)
        self->last = NULL;
    return wait;
}

/* A loop that is debugged is to see each task by itself. */
static bool is_debugged(const struct spd_waits *self)
{
    PyObject *debug = PyObject_CallFunctionObjArgs(self->get_debug, NULL);

    if (debug == NULL)
        PyErr_Clear();
    Py_XDECREF(debug);
    return debug != Py_False;
}

/* A task that is called may deliver more, which leaves nothing due. */
bool spd_waits_tell(struct spd_waits *self, bool now)
{
    struct spd_wait *wait;
    bool told = true;

    if (self->first == NULL)
        return true;
    now = now && !is_debugged(self);
    while (told && (wait = take_first(self)) != NULL) {
        told = now ? tell_now(wait) : tell_soon(wait);
        if (told)
            Py_DECREF((PyObject *)wait);
        else
            put_first(self, wait);
    }
    return told;
}

int spd_waits_visit(const struct spd_waits *self, visitproc visit, void *arg)
{
    for (struct spd_wait *wait = self->first; wait != NULL; wait = wait->next)
        Py_VISIT((PyObject *)wait);
    return spd_visit_owned(self, owned, SPD_COUNT(owned), visit, arg);
}

void spd_waits_clear(struct spd_waits *self)
{
    struct spd_wait *wait;

    while ((wait = take_first(self)) != NULL)
        Py_DECREF((PyObject *)wait);
    spd_clear_owned(self, owned, SPD_COUNT(owned));
}

/* ---- the outcome ---- */

void spd_wait_set_result(PyObject *wait, PyObject *result)
{
    struct spd_wait *self = (struct spd_wait *)wait;

    if (self->state != SPD_PENDING)
        return;
    self->state = SPD_FINISHED;
    self->result = Py_NewRef(result);
    if (spd_listeners_any(&self->listeners)) {
        Py_INCREF(wait);
        put_last(self->waits, self);
    }
}

bool spd_wait_end(struct spd_wait *self, enum spd_wait_state state,
                  PyObject *result, PyObject *error)
{
    if (!tell_soon(self))
        return false;
    self->state = state;
    self->result = Py_XNewRef(result);
    self->error = Py_XNewRef(error);
    return true;
}
