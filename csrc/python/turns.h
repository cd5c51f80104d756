/* Methods of Futures that send and receive. */

#ifndef JRC_PYTHON_TURNS_H
#define JRC_PYTHON_TURNS_H

#include "python/core.h"

/* Called by the event loop, and by nothing else: tasks may run in here.
 *
 * on_ready(): a descriptor of the client or the queue is readable.
 * flush(): send what this turn of the event loop submitted.
 * go_on(): deliver more of what has arrived. */
PyObject *spd_on_ready(PyObject *futures, PyObject *unused);
PyObject *spd_flush(PyObject *futures, PyObject *unused);
PyObject *spd_go_on(PyObject *futures, PyObject *unused);

/* Called by anything, tasks included.
 *
 * look(): send what was submitted, and deliver some of what has arrived.
 * fetch(): deliver everything that has arrived. */
PyObject *spd_look(PyObject *futures, PyObject *unused);
PyObject *spd_fetch(PyObject *futures, PyObject *unused);

#endif
