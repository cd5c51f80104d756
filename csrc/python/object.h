/* What our types share. */

#ifndef JRC_PYTHON_OBJECT_H
#define JRC_PYTHON_OBJECT_H

#include "python/core.h"

#include <stddef.h>

/* Fields of a struct that each own an object, or are NULL, by their offsets.
 * One list serves for visiting and for clearing, in the order of clearing. */
int spd_visit_owned(const void *self, const size_t *owned, size_t count,
                    visitproc visit, void *arg);
void spd_clear_owned(void *self, const size_t *owned, size_t count);

#define SPD_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* tp_getattro for a base class of Python classes: what has no such attribute
 * raises what its _missing(name) does.  A __getattr__() in Python would have
 * CPython look for it each time that any method is called. */
PyObject *spd_getattro(PyObject *object, PyObject *name);

/* tp_dealloc for objects that own nothing after their tp_clear. */
void spd_dealloc(PyObject *object);

/* The same for a base class of Python classes, with the base's own tp_clear:
 * what a class has added is already cleared. */
void spd_dealloc_base(PyObject *object, inquiry clear);

#endif
