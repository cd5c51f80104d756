#include "python/futures.h"

/* Have the event loop call flush(), so that everything submitted in one of its
 * turns goes out together. */
static bool cork(struct futures *self)
{
    if (!self->corked)
        self->corked = spd_event_loop_call_soon(&self->loop, (PyObject *)self,
                                                &self->flush, "flush");
    return self->corked;
}

/* A Wait, like spd_new_future(). */
static PyObject *new_wait(struct futures *self, PyObject *on_done)
{
    PyObject *wait = spd_wait_new(&self->waits);

    if (wait != NULL && on_done != Py_None &&
        !spd_wait_add(wait, on_done, NULL))
        Py_CLEAR(wait);
    return wait;
}

PyObject *spd_new_future(struct futures *self, PyObject *on_done)
{
    if (self->waits.type != NULL)
        return new_wait(self, on_done);
    PyObject *future =
        PyObject_CallFunctionObjArgs(self->loop.create_future, NULL);

    if (future != NULL && !spd_delivery_learn(&self->delivery, future))
        Py_CLEAR(future);
    if (future == NULL || on_done == Py_None)
        return future;
    PyObject *added =
        PyObject_CallMethod(future, "add_done_callback", "O", on_done);
    if (added == NULL)
        Py_CLEAR(future);
    Py_XDECREF(added);
    return future;
}

int64_t spd_submit_future(struct futures *self, const struct spd_arguments *a,
                          PyObject *future)
{
    struct spd_entries *entries = &self->calls.entries;

    if (!cork(self))
        return 0;
    uint64_t token =
        spd_entries_put(entries, future, NULL, a->method, a->decoder);
    if (token == SPD_NO_ENTRY)
        return 0;
    int64_t id = spd_submit(&self->calls, a, token, JSONRPCC_CORKED);
    if (id <= 0)
        spd_entries_discard(entries, token);
    return id;
}

/* Create a future for the call's outcome, and its iterator. */
static bool make_future(struct futures *self, struct spd_pending *pending)
{
    pending->future = spd_new_future(self, Py_None);
    if (pending->future != NULL)
        pending->iterator = PyObject_GetIter(pending->future);
    return pending->iterator != NULL;
}

int64_t spd_submit_pending(struct futures *self, struct spd_pending *pending)
{
    if (pending->future == NULL && !make_future(self, pending))
        return 0;
    int64_t id = spd_submit_future(self, &pending->arguments, pending->future);
    if (id > 0) {
        pending->id = (uint64_t)id;
        spd_arguments_clear(&pending->arguments); /* not needed once sent */
    }
    return id;
}

int64_t spd_notify(struct futures *self, const struct spd_arguments *a)
{
    return cork(self) ? spd_submit(&self->calls, a, 0,
                                   JSONRPCC_CORKED | JSONRPCC_NOTIFICATION)
                      : 0;
}

bool spd_may_wait(struct futures *self, int64_t id,
                  const struct spd_arguments *a)
{
    bool waits = id == -JSONRPCC_EFULL && a->block;

    if (id < 0 && !waits)
        spd_refuse(self->calls.refuse, (jsonrpcc_status)-id, a);
    return waits;
}
