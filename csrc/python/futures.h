/* jsonrpcc._speedups.Futures: calls whose outcomes go to futures of an event
 * loop. */

#ifndef JRC_PYTHON_FUTURES_H
#define JRC_PYTHON_FUTURES_H

#include "python/calls.h"
#include "python/deliver.h"
#include "python/event_loop.h"
#include "python/pending.h"

struct futures {
    PyObject_HEAD struct spd_calls
        calls; /* its keep keeps the completions, too */
    struct spd_event_loop loop;
    struct spd_delivery delivery;
    struct spd_maker maker;
    PyObject *when_room;     /* (prepared) -> a coroutine that submits once
                                there is room */
    PyObject *flush, *go_on; /* our methods, for its next turn */
    bool corked, comes_back; /* whether flush(), go_on() will be called */
};

/* The type: a new reference, or NULL. */
PyObject *spd_futures_type(void);

#endif
