#include "python/turns.h"

#include "python/futures.h"

/* Nothing else announces what is left, so the event loop calls go_on(). */
static bool come_back(struct futures *self)
{
    if (!self->comes_back)
        self->comes_back = spd_event_loop_call_soon(
            &self->loop, (PyObject *)self, &self->go_on, "go_on");
    return self->comes_back;
}

/* Like spd_deliver(), and have the event loop call again for more.  by_loop:
 * it is the event loop that calls us.  None, or NULL with an exception. */
static PyObject *deliver(struct futures *self, bool all, bool by_loop)
{
    PyObject *type, *value, *traceback;
    enum spd_delivered done = spd_deliver(&self->delivery, &self->calls, all);

    if (done == SPD_MORE && !come_back(self)) {
        done = SPD_FAILED;
        if (PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_Clear(); /* no memory for that: deliver all at once, then */
            done = spd_deliver(&self->delivery, &self->calls, true);
        }
    }
    if (done != SPD_FAILED && spd_waits_tell(&self->waits, by_loop))
        Py_RETURN_NONE;
    /* Whatever raised (it may be a signal handler), the rest still has to be
     * delivered. */
    PyErr_Fetch(&type, &value, &traceback);
    if (!come_back(self))
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return NULL;
}

PyObject *spd_fetch(PyObject *object, PyObject *unused)
{
    (void)unused;
    return deliver((struct futures *)object, true, false);
}

PyObject *spd_go_on(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    self->comes_back = false;
    return deliver(self, false, true);
}

/* Without the GIL: this may run other users' callbacks, which may wait for any
 * thread. */
static bool poll(struct futures *self)
{
    PyThreadState *state = PyEval_SaveThread();
    bool drove = spd_core->queue_poll(self->calls.queue);

    PyEval_RestoreThread(state);
    return drove;
}

static PyObject *begin_to_deliver(struct futures *self, bool by_loop)
{
    if (self->comes_back)
        Py_RETURN_NONE;
    return deliver(self, false, by_loop);
}

PyObject *spd_on_ready(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    poll(self);
    return begin_to_deliver(self, true);
}

PyObject *spd_flush(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    self->corked = false;
    if (!poll(self))
        spd_core->flush(self->calls.client);
    return begin_to_deliver(self, true);
}

PyObject *spd_look(PyObject *object, PyObject *unused)
{
    struct futures *self = (struct futures *)object;

    (void)unused;
    if (!poll(self))
        spd_core->flush(self->calls.client);
    return begin_to_deliver(self, false);
}
