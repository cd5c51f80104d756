/* What came for the futures of an event loop: their results, and in portions
 * that leave the loop its turns. */

#ifndef JRC_PYTHON_DELIVER_H
#define JRC_PYTHON_DELIVER_H

#include "python/calls.h"

struct spd_delivery {
    jsonrpcc_completions *completions; /* what was fetched, and is left of it */
    PyObject *rest;        /* deliver what is left of a fetch: whether it could,
                            * and set its counts to 0 */
    PyObject *future_type; /* as the event loop makes them */
    PyObject *set_result;  /* of that type */
};

/* Remember how to set the result of futures of this kind.  False: an exception
 * is set. */
bool spd_delivery_learn(struct spd_delivery *self, PyObject *future);

enum spd_delivered {
    SPD_DONE,   /* all that is there, or rest() has us called again */
    SPD_MORE,   /* enough for one turn of the event loop: come back */
    SPD_FAILED, /* an exception is set: come back as well */
};

/* Deliver what is there, and first what is left of a fetch: all of it, or
 * enough for one turn. */
enum spd_delivered spd_deliver(struct spd_delivery *self,
                               struct spd_calls *calls, bool all);

#endif
