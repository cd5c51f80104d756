/* jsonrpcc._fast.Futures, in two rooms: futures.c has the object and submits,
 * deliver.c delivers. */

#ifndef JRC_FUTURES_H
#define JRC_FUTURES_H

#include "python/module.h"

struct futures {
    PyObject_HEAD struct fast_calls calls; /* its keep keeps batch as well */
    jsonrpcc_batch *batch;
    PyObject *pending_type;  /* Pending */
    PyObject *otherwise;     /* call() for unusual arguments: a coroutine */
    PyObject *create_future; /* the loop's */
    PyObject *call_soon;     /* the loop's */
    PyObject *flush, *go_on; /* what it shall call in its next turn: ours */
    PyObject *rest;          /* deliver what is left of the batch: whether it
                              * could, and set its counts to 0 */
    PyObject *future_type, *set_result; /* as create_future() makes them */
    bool corked, comes_back;            /* flush(), go_on() will be called */
};

/* Have the event loop call a method of ours, kept in *method, in its next turn.
 * False: an exception is set. */
bool fast_futures_call_soon(struct futures *self, PyObject **method,
                            const char *name);

/* Deliver what is there, and first what is left of the batch: all of it, or
 * enough for one turn of the event loop, which then comes back for more.  None,
 * or NULL with an exception. */
PyObject *fast_futures_deliver(struct futures *self, bool all);

#endif
