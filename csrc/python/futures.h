/* jsonrpcc._speedups.Futures, in two rooms: futures.c has the object and
 * submits, deliver.c delivers. */

#ifndef JRC_PYTHON_FUTURES_H
#define JRC_PYTHON_FUTURES_H

#include "python/arguments.h"
#include "python/calls.h"

struct futures {
    PyObject_HEAD struct spd_calls
        calls; /* its keep keeps the completions as well */
    jsonrpcc_completions *completions;
    PyObject *pending_type; /* Pending */
    PyObject *read;         /* as of spd_read(), but all positional */
    PyObject *when_room;    /* (prepared) -> a coroutine that submits then */
    PyObject *loop, *get_running_loop;
    PyObject *is_running;    /* the loop's */
    unsigned long thread;    /* where the loop ran last */
    PyObject *create_future; /* the loop's */
    PyObject *call_soon;     /* the loop's */
    PyObject *flush, *go_on; /* what it shall call in its next turn: ours */
    PyObject *rest;          /* deliver what is left of a fetch: whether it
                              * could, and set its counts to 0 */
    PyObject *future_type, *set_result; /* as create_future() makes them */
    bool corked, comes_back;            /* flush(), go_on() will be called */
};

/* A call that is awaited: pending.c.  It is submitted when that begins. */
struct pending {
    PyObject_HEAD struct futures *futures;
    struct spd_arguments arguments; /* their owner, or this, keeps method */
    PyObject *future;
    PyObject *iterator; /* of the future; or a coroutine that waits for room */
    uint64_t id;        /* 0: not accepted yet */
    bool begun, ended;
    bool warns; /* if it is dropped without having been awaited */
};

/* A Pending; takes over the arguments, and clears them if it returns NULL. */
PyObject *spd_pending_new(struct futures *futures,
                          struct spd_arguments *arguments, bool warns);

/* Submit the call, or begin to wait for room.  False: an exception is set. */
bool spd_futures_begin(struct futures *self, struct pending *pending);

/* Have the event loop call a method of ours, kept in *method, in its next turn.
 * False: an exception is set. */
bool spd_futures_call_soon(struct futures *self, PyObject **method,
                           const char *name);

/* Deliver what is there, and first what is left of a fetch: all of it,
 * or enough for one turn of the event loop, which then comes back for more.
 * None, or NULL with an exception. */
PyObject *spd_futures_deliver(struct futures *self, bool all);

/* The types: new references, or NULL. */
PyObject *spd_futures_type(void);
PyObject *spd_pending_type(void);

#endif
