/* Calls whose outcomes go to futures of an event loop, and how they are
 * submitted.
 *
 * All functions that submit return an id, a negated status, or 0 with an
 * exception. */

#ifndef JRC_PYTHON_FUTURES_H
#define JRC_PYTHON_FUTURES_H

#include "python/call.h"
#include "python/calls.h"
#include "python/deliver.h"
#include "python/event_loop.h"
#include "python/pending.h"
#include "python/wait.h"

struct futures {
    PyObject_HEAD struct spd_calls
        calls; /* its keep keeps the completions, too */
    struct spd_event_loop loop;
    struct spd_delivery delivery;
    struct spd_maker maker;
    struct spd_waits waits;
    PyObject *call_type;     /* jsonrpcc.Call */
    PyObject *when_room;     /* (prepared) -> a coroutine that submits once
                                there is room */
    PyObject *flush, *go_on; /* our methods, for its next turn */
    bool corked, comes_back; /* whether flush(), go_on() will be called */
};

/* A Wait or a future of the loop's, which tells its outcome to on_done unless
 * that is None.  NULL: an exception is set. */
PyObject *spd_new_future(struct futures *self, PyObject *on_done);

/* Submit a call with its entry, or neither. */
int64_t spd_submit_future(struct futures *self, const struct spd_arguments *a,
                          PyObject *future);

/* The same for a Pending.  Whatever may fail comes first: an accepted call
 * belongs to its Pending, which cancels it if it is no longer awaited. */
int64_t spd_submit_pending(struct futures *self, struct spd_pending *pending);

int64_t spd_notify(struct futures *self, const struct spd_arguments *a);

/* Whether what such a function returned means that there was no room, and the
 * caller waits for it.  False: an exception is set. */
bool spd_may_wait(struct futures *self, int64_t id,
                  const struct spd_arguments *a);

#endif
