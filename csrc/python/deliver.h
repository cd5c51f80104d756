/* What has arrived for the Waits or futures of an event loop: sets their
 * results, in portions, so that the loop gets its turns. */

#ifndef JRC_PYTHON_DELIVER_H
#define JRC_PYTHON_DELIVER_H

#include "python/calls.h"
#include "python/wait.h"

struct spd_delivery {
    jsonrpcc_completions *completions; /* what is left of the last fetch */
    PyObject *rest; /* delivers the rest of a fetch and sets its
                       counts to 0; returns whether it could */
    PyObject *slow; /* told of fetches with results that took at least
                       slow_us; NULL: of none */
    uint64_t slow_us;
    const struct spd_waits *waits;
    PyObject *future_type; /* that of the event loop */
    PyObject *set_result;  /* of that type */
};

/* Remember how to set the result of futures of this type.  False: an exception
 * is set. */
bool spd_delivery_learn(struct spd_delivery *self, PyObject *future);

enum spd_delivered {
    SPD_DONE,   /* everything, or rest() has us called again */
    SPD_MORE,   /* enough for one turn of the event loop: call again */
    SPD_FAILED, /* an exception is set; call again, too */
};

/* Deliver what has arrived, beginning with the rest of the last fetch: all of
 * it, or enough for one turn. */
enum spd_delivered spd_deliver(struct spd_delivery *self,
                               struct spd_calls *calls, bool all);

#endif
