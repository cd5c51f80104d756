/* What came for the futures of an event loop: their results, and in portions
 * that leave the loop its turns. */

#include "python/futures.h"

/* What one turn of the event loop delivers, a fetch more or less.  Then the
 * tasks have their turn: results that wait for their tasks crowd the caches,
 * the garbage collector walks over them again and again, and whoever else uses
 * the loop waits. */
enum { ENOUGH_RESULTS = 128, ENOUGH_BYTES = 65536 };

/* A future that was cancelled meanwhile refuses its result, rightly. */
static void set_result(struct futures *self, PyObject *future, PyObject *result)
{
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

/* Set the futures of the results that were fetched.  False, and all is left as
 * it was: they could not be decoded, or an exception is set. */
static bool deliver(struct futures *self)
{
    const jsonrpcc_completions *completions = self->completions;
    PyObject *results = spd_decode_many(&self->calls.codec, completions);
    struct spd_entry entry;

    if (results == NULL)
        return false;
    for (size_t i = 0; i < completions->count; i++) {
        if (!spd_entries_take(&self->calls.entries, completions->tokens[i],
                              &entry))
            continue;
        set_result(self, entry.on_result,
                   PyList_GetItem(results, (Py_ssize_t)i));
        spd_entry_drop(&entry);
    }
    Py_DECREF(results);
    return true;
}

/* Have what C code can not deliver delivered.  False: an exception is set, or
 * some is left, for which rest() has us called again. */
static bool deliver_rest(struct futures *self)
{
    PyObject *done = PyObject_CallFunctionObjArgs(self->rest, NULL);

    Py_XDECREF(done);
    return done == Py_True;
}

/* Deliver what was fetched.  False: an exception is set, or the rest is
 * for later. */
static bool deliver_fetched(struct futures *self)
{
    jsonrpcc_completions *completions = self->completions;

    if (completions->count > 0 && deliver(self))
        completions->count = 0;
    else if (PyErr_Occurred())
        return false;
    return spd_is_delivered(completions) || deliver_rest(self);
}

/* The last fetch finds nothing, and has the queue's descriptor tell of the next
 * outcome. */
static PyObject *deliver_some(struct futures *self, bool all)
{
    jsonrpcc_completions *completions = self->completions;
    size_t results = 0, bytes = 0;

    if (!spd_is_delivered(completions) && !deliver_rest(self))
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    for (;;) {
        if (!all && (results >= ENOUGH_RESULTS || bytes >= ENOUGH_BYTES)) {
            self->comes_back =
                spd_futures_call_soon(self, &self->go_on, "go_on");
            if (self->comes_back)
                break;
            if (!PyErr_ExceptionMatches(PyExc_Exception))
                return NULL;
            PyErr_Clear(); /* no memory for that: all at once, then */
            all = true;
        }
        if (!spd_core->queue_fetch(self->calls.queue, completions))
            break;
        results += completions->count;
        bytes += completions->results_len;
        if (!deliver_fetched(self))
            return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    Py_RETURN_NONE;
}

/* Whoever raised, a signal handler for one, must not keep the rest from coming:
 * nothing tells of that again. */
PyObject *spd_futures_deliver(struct futures *self, bool all)
{
    PyObject *type, *value, *traceback;
    PyObject *done = deliver_some(self, all);

    if (done != NULL || self->comes_back)
        return done;
    PyErr_Fetch(&type, &value, &traceback);
    self->comes_back = spd_futures_call_soon(self, &self->go_on, "go_on");
    if (!self->comes_back)
        PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return NULL;
}
