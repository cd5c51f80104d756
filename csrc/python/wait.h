/* What a task of asyncio waits for.
 *
 * asyncio takes any object with the attribute _asyncio_future_blocking for a
 * future.  A Wait is cheaper to make than asyncio's own, and its callbacks need
 * not be put into the event loop's list one by one: those of all results that
 * arrive together are called together, by the callback of the loop that fetched
 * them.
 *
 * Belongs to the loop's thread. */

#ifndef JRC_PYTHON_WAIT_H
#define JRC_PYTHON_WAIT_H

#include "python/event_loop.h"
#include "python/listeners.h"
#include "python/vectorcall.h"

/* What the Waits of one event loop share. */
struct spd_waits {
    PyObject *object; /* has this as a part; Waits keep it */
    PyObject *type;   /* Wait; NULL: the loop has other futures */
    PyObject *task_type;
    PyObject *get_loop;  /* that of each Wait */
    PyObject *get_debug; /* that of the loop */
    PyObject *finished;  /* a future of asyncio's that has a result */
    const struct spd_event_loop *loop;
    struct spd_wait *first, *last; /* whose listeners are due; owned */
};

enum spd_wait_state { SPD_PENDING, SPD_FINISHED, SPD_CANCELLED };

struct spd_wait {
    PyObject_HEAD spd_vectorcall *add_done_callback; /* this, called */
    struct spd_waits *waits;
    PyObject *object;      /* that of waits */
    struct spd_wait *next; /* whose listeners are due, too */
    struct spd_listeners listeners;
    PyObject *result, *error; /* NULL: none.  If cancelled, error is the text */
    enum spd_wait_state state;
    char blocking; /* as asyncio has it: a task has just been handed this */
};

/* False: an exception is set. */
bool spd_wait_init(void);

/* type may be None.  False: an exception is set; spd_waits_clear() clears what
 * exists. */
bool spd_waits_init(struct spd_waits *self, PyObject *object, PyObject *type,
                    const struct spd_event_loop *loop);
int spd_waits_visit(const struct spd_waits *self, visitproc visit, void *arg);
void spd_waits_clear(struct spd_waits *self);

/* NULL: an exception is set. */
PyObject *spd_wait_new(struct spd_waits *waits);
bool spd_is_wait(const struct spd_waits *waits, PyObject *object);

/* Have function(wait) called at the end, in a context; NULL or None: in a copy
 * of the current one.  False: an exception is set. */
bool spd_wait_add(PyObject *wait, PyObject *function, PyObject *context);

/* End it with a result, unless it has ended.  What listens is called by
 * spd_waits_tell(). */
void spd_wait_set_result(PyObject *wait, PyObject *result);

/* End it, and have the event loop call what listens.  False: an exception is
 * set, and it has not ended. */
bool spd_wait_end(struct spd_wait *self, enum spd_wait_state state,
                  PyObject *result, PyObject *error);

/* Call the listeners that are due, which are mostly tasks: now, if the event
 * loop calls us, with no task in between; else have it call them soon.  False:
 * an exception is set, and some may still be due. */
bool spd_waits_tell(struct spd_waits *waits, bool now);

#endif
