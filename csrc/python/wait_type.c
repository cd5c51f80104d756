#include "python/wait_type.h"

#include "python/coroutine.h"
#include "python/wait.h"

#include <stddef.h>
#include <structmember.h>

static PyObject *blocking_, *get_loop_, *add_done_callback_;

/* remove_done_callback(function) -> how many there were */
static PyObject *remove_done_callback(PyObject *object, PyObject *function)
{
    struct spd_wait *self = (struct spd_wait *)object;
    long removed = spd_listeners_remove(&self->listeners, function);

    return removed < 0 ? NULL : PyLong_FromLong(removed);
}

static PyObject *get_get_loop(PyObject *object, void *unused)
{
    PyObject *get_loop = ((struct spd_wait *)object)->waits->get_loop;

    (void)unused;
    if (get_loop != NULL)
        return Py_NewRef(get_loop);
    PyErr_SetString(PyExc_AttributeError, "the loop is gone");
    return NULL;
}

/* It is called in place of a method. */
static PyObject *get_itself(PyObject *object, void *unused)
{
    (void)unused;
    return Py_NewRef(object);
}

/* asyncio asks each Wait for these three, and interned their names: no search,
 * and no method to bind. */
static PyObject *getattro(PyObject *object, PyObject *name)
{
    if (name == blocking_)
        return PyBool_FromLong(((struct spd_wait *)object)->blocking);
    if (name == get_loop_)
        return get_get_loop(object, NULL);
    if (name == add_done_callback_)
        return get_itself(object, NULL);
    return PyObject_GenericGetAttr(object, name);
}

static int setattro(PyObject *object, PyObject *name, PyObject *value)
{
    if (name != blocking_ || value != Py_False)
        return PyObject_GenericSetAttr(object, name, value);
    ((struct spd_wait *)object)->blocking = false;
    return 0;
}

/* ---- the outcome ---- */

/* Raise asyncio.exceptions.name(text); text may be NULL.  Always NULL. */
static PyObject *raise_own(const char *name, PyObject *text)
{
    PyObject *module = PyImport_ImportModule("asyncio.exceptions");
    PyObject *type =
        module == NULL ? NULL : PyObject_GetAttrString(module, name);
    PyObject *error =
        type == NULL ? NULL : PyObject_CallFunctionObjArgs(type, text, NULL);

    if (error != NULL)
        PyErr_SetObject(type, error);
    Py_XDECREF(error);
    Py_XDECREF(type);
    Py_XDECREF(module);
    return NULL;
}

static PyObject *raise_invalid_state(const char *what)
{
    PyObject *text = PyUnicode_FromString(what);

    if (text != NULL)
        raise_own("InvalidStateError", text);
    Py_XDECREF(text);
    return NULL;
}

static PyObject *set(PyObject *object, PyObject *result, PyObject *error)
{
    struct spd_wait *self = (struct spd_wait *)object;

    if (self->state != SPD_PENDING)
        return raise_invalid_state("invalid state");
    if (!spd_wait_end(self, SPD_FINISHED, result, error))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *set_result(PyObject *object, PyObject *result)
{
    return set(object, result, NULL);
}

static PyObject *set_exception(PyObject *object, PyObject *error)
{
    if (!PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "set_exception() takes an exception");
        return NULL;
    }
    return set(object, NULL, error);
}

/* cancel(msg=None) -> whether it was pending */
static PyObject *cancel(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    struct spd_wait *self = (struct spd_wait *)object;
    PyObject *text = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", names, &text))
        return NULL;
    if (self->state != SPD_PENDING)
        Py_RETURN_FALSE;
    if (!spd_wait_end(self, SPD_CANCELLED, NULL, text == Py_None ? NULL : text))
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *is_done(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct spd_wait *)object)->state != SPD_PENDING);
}

static PyObject *is_cancelled(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct spd_wait *)object)->state == SPD_CANCELLED);
}

static PyObject *get_result(PyObject *object, PyObject *unused)
{
    struct spd_wait *self = (struct spd_wait *)object;

    (void)unused;
    if (self->result != NULL)
        return Py_NewRef(self->result);
    if (self->state == SPD_PENDING)
        return raise_invalid_state("Result is not set.");
    if (self->state == SPD_CANCELLED)
        return raise_own("CancelledError", self->error);
    PyErr_SetObject((PyObject *)Py_TYPE(self->error), self->error);
    return NULL;
}

static PyObject *get_exception(PyObject *object, PyObject *unused)
{
    struct spd_wait *self = (struct spd_wait *)object;

    (void)unused;
    if (self->state == SPD_PENDING)
        return raise_invalid_state("Exception is not set.");
    if (self->state == SPD_CANCELLED)
        return raise_own("CancelledError", self->error);
    return Py_NewRef(self->error != NULL ? self->error : Py_None);
}

/* ---- as what is awaited ---- */

/* It has no send(), throw() and close(), or asyncio would take it for a
 * coroutine as well. */

static PySendResult am_send(PyObject *object, PyObject *value,
                            PyObject **result)
{
    struct spd_wait *self = (struct spd_wait *)object;

    (void)value;
    if (self->state != SPD_PENDING) {
        *result = get_result(object, NULL);
        return *result != NULL ? PYGEN_RETURN : PYGEN_ERROR;
    }
    if (self->blocking) {
        PyErr_SetString(PyExc_RuntimeError, "await wasn't used with future");
        *result = NULL;
        return PYGEN_ERROR;
    }
    self->blocking = true;
    *result = Py_NewRef(object);
    return PYGEN_NEXT;
}

static PyObject *next(PyObject *object)
{
    return spd_step(object, Py_None, am_send);
}

static PyObject *itself(PyObject *object)
{
    return Py_NewRef(object);
}

/* ---- the type ---- */

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    struct spd_wait *self = (struct spd_wait *)object;

    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->object);
    Py_VISIT(self->result);
    Py_VISIT(self->error);
    return spd_listeners_visit(&self->listeners, visit, arg);
}

/* What it is a part of stays until the end. */
static int clear(PyObject *object)
{
    struct spd_wait *self = (struct spd_wait *)object;

    spd_listeners_clear(&self->listeners);
    Py_CLEAR(self->result);
    Py_CLEAR(self->error);
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject *keeper = ((struct spd_wait *)object)->object;

    PyObject_GC_UnTrack(object);
    clear(object);
    PyObject_GC_Del(object);
    Py_DECREF(keeper);
    Py_DECREF(type);
}

static PyObject *repr(PyObject *object)
{
    static const char *const names[] = {"pending", "finished", "cancelled"};

    return PyUnicode_FromFormat("<Wait %s>",
                                names[((struct spd_wait *)object)->state]);
}

static PyMethodDef methods[] = {
    {"remove_done_callback", remove_done_callback, METH_O,
     "remove_done_callback(function): do not call it; how many there were."},
    {"result", get_result, METH_NOARGS, "result(): return or raise it."},
    {"exception", get_exception, METH_NOARGS, "exception(): None if none."},
    {"done", is_done, METH_NOARGS, "done(): whether it has ended."},
    {"cancelled", is_cancelled, METH_NOARGS, "cancelled(): by cancel()."},
    {"cancel", (PyCFunction)(void (*)(void))cancel,
     METH_VARARGS | METH_KEYWORDS,
     "cancel(msg=None): end it; whether it had not ended yet."},
    {"set_result", set_result, METH_O, "set_result(result): end it."},
    {"set_exception", set_exception, METH_O, "set_exception(error): end it."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(struct spd_wait, blocking), 0,
     "A task has been handed this, and is to set it to False."},
    {"__vectorcalloffset__", T_PYSSIZET,
     offsetof(struct spd_wait, add_done_callback), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"get_loop", get_get_loop, NULL, "get_loop(): its event loop.", NULL},
    {"add_done_callback", get_itself, NULL,
     "add_done_callback(function, *, context=None): call function(self).",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What a task of asyncio waits for."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_repr, repr},
    {Py_tp_getattro, getattro},
    {Py_tp_setattro, setattro},
    {Py_tp_call, spd_vectorcall_call},
    {Py_tp_iter, itself},
    {Py_tp_iternext, next},
    {Py_am_await, itself},
    {Py_am_send, am_send},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, getset},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "jsonrpcc._speedups.Wait",
    .basicsize = sizeof(struct spd_wait),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyObject *spd_wait_type(void)
{
    blocking_ = PyUnicode_InternFromString("_asyncio_future_blocking");
    get_loop_ = PyUnicode_InternFromString("get_loop");
    add_done_callback_ = PyUnicode_InternFromString("add_done_callback");
    return blocking_ != NULL && get_loop_ != NULL &&
                   add_done_callback_ != NULL && spd_wait_init()
               ? PyType_FromSpec(&spec)
               : NULL;
}
