/* What our types have in common. */

#ifndef JRC_PYTHON_OBJECT_H
#define JRC_PYTHON_OBJECT_H

#include "python/core.h"

#include <stddef.h>

/* The fields of a struct that own an object each, or NULL, by their offsets:
 * they stand in one list for who visits and who clears them, in the order of
 * the latter. */
int spd_visit_owned(const void *self, const size_t *owned, size_t count,
                    visitproc visit, void *arg);
void spd_clear_owned(void *self, const size_t *owned, size_t count);

#define SPD_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* tp_dealloc of objects that their tp_clear leaves nothing in. */
void spd_dealloc(PyObject *object);

/* The same for a base class of Python's classes, with the base's own tp_clear:
 * what a class has added is cleared already. */
void spd_dealloc_base(PyObject *object, inquiry clear);

#endif
