#include "python/deliver.h"

/* What one turn of the event loop delivers, roughly a fetch.  Then the tasks
 * get their turn: results that wait for their tasks fill the caches, the
 * garbage collector visits them again and again, and all other users of the
 * loop wait. */
enum { ENOUGH_RESULTS = 128, ENOUGH_BYTES = 65536 };

/* A future that was cancelled meanwhile refuses its result, and should. */
static void set_result(struct spd_delivery *self, PyObject *future,
                       PyObject *result)
{
    if (spd_is_wait(self->waits, future)) {
        spd_wait_set_result(future, result);
        return;
    }
    PyObject *done =
        (PyObject *)Py_TYPE(future) == self->future_type
            ? PyObject_CallFunctionObjArgs(self->set_result, future, result,
                                           NULL)
            : PyObject_CallMethod(future, "set_result", "O", result);

    if (done != NULL) {
        Py_DECREF(done);
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *is_done = PyObject_CallMethod(future, "done", NULL);
    if (is_done != Py_True) {
        PyErr_Restore(type, value, traceback);
        PyErr_WriteUnraisable(future);
    } else {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    }
    Py_XDECREF(is_done);
}

bool spd_delivery_learn(struct spd_delivery *self, PyObject *future)
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

/* Set the futures of the results that were fetched.  False, and nothing has
 * changed: they could not be decoded, or an exception is set. */
static bool deliver(struct spd_delivery *self, struct spd_calls *calls)
{
    const jsonrpcc_completions *completions = self->completions;
    PyObject *results =
        spd_decode_entries(&calls->codec, &calls->entries, completions);
    struct spd_entry entry;

    if (results == NULL)
        return false;
    for (size_t i = 0; i < completions->count; i++) {
        if (!spd_entries_take(&calls->entries, completions->tokens[i], &entry))
            continue;
        set_result(self, entry.on_result,
                   PyList_GetItem(results, (Py_ssize_t)i));
        spd_entry_drop(&entry);
    }
    Py_DECREF(results);
    return true;
}

/* Have Python deliver what C code cannot.  False: an exception is set, or
 * something is left, for which rest() has us called again. */
static bool deliver_rest(struct spd_delivery *self)
{
    PyObject *done = PyObject_CallFunctionObjArgs(self->rest, NULL);

    Py_XDECREF(done);
    return done == Py_True;
}

/* Have slow results logged.  False: an exception is set. */
static bool tell_slow(struct spd_delivery *self)
{
    const jsonrpcc_completions *completions = self->completions;

    if (self->slow == NULL ||
        spd_core->completions_slow(completions, 0, self->slow_us) ==
            completions->count)
        return true;
    PyObject *done = PyObject_CallFunctionObjArgs(self->slow, NULL);
    Py_XDECREF(done);
    return done != NULL;
}

/* Deliver what was fetched.  False: an exception is set, or the rest comes
 * later. */
static bool deliver_fetched(struct spd_delivery *self, struct spd_calls *calls)
{
    jsonrpcc_completions *completions = self->completions;

    if (completions->count > 0 && deliver(self, calls))
        completions->count = 0;
    else if (PyErr_Occurred())
        return false;
    return spd_is_delivered(completions) || deliver_rest(self);
}

/* The last fetch finds nothing, which makes the queue's descriptor announce the
 * next outcome. */
enum spd_delivered spd_deliver(struct spd_delivery *self,
                               struct spd_calls *calls, bool all)
{
    jsonrpcc_completions *completions = self->completions;
    size_t results = 0, bytes = 0;

    if (!spd_is_delivered(completions) && !deliver_rest(self))
        return PyErr_Occurred() ? SPD_FAILED : SPD_DONE;
    while (all || (results < ENOUGH_RESULTS && bytes < ENOUGH_BYTES)) {
        if (!spd_core->queue_fetch(calls->queue, completions))
            return SPD_DONE;
        results += completions->count;
        bytes += completions->results_len;
        if (!tell_slow(self) || !deliver_fetched(self, calls))
            return PyErr_Occurred() ? SPD_FAILED : SPD_DONE;
    }
    return SPD_MORE;
}
