/* What our types have in common. */

#ifndef JRC_PYTHON_OBJECT_H
#define JRC_PYTHON_OBJECT_H

#include "python/core.h"

/* tp_dealloc of objects that their tp_clear leaves nothing in. */
void spd_dealloc(PyObject *object);

#endif
