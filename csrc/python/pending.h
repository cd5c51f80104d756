/* jsonrpcc._speedups.Pending: what AsyncClient.call() returns. */

#ifndef JRC_PYTHON_PENDING_H
#define JRC_PYTHON_PENDING_H

#include "python/arguments.h"

struct spd_pending;

/* Part of the object that creates Pendings and through which they are
 * submitted. */
struct spd_maker {
    PyObject *object; /* that object; Pendings keep it */
    PyObject *type;   /* Pending */
    jsonrpcc_client *client;
    /* Submit the call, or begin to wait for room.  False: an exception is set.
     */
    bool (*begin)(PyObject *object, struct spd_pending *pending);
};

/* A call that can be awaited.  It is submitted when that begins. */
struct spd_pending {
    PyObject_HEAD const struct spd_maker *maker;
    struct spd_arguments arguments; /* their owner, or this, keeps method */
    PyObject *future;
    PyObject *iterator; /* of the future; or a coroutine that waits for room */
    uint64_t id;        /* 0: not accepted yet */
    bool begun, ended;
    bool warns; /* if it is dropped without having been awaited */
};

/* Create a Pending.  Takes over the arguments, and clears them if it returns
 * NULL. */
PyObject *spd_pending_new(const struct spd_maker *maker,
                          struct spd_arguments *arguments, bool warns);

/* The type: a new reference, or NULL. */
PyObject *spd_pending_type(void);

#endif
