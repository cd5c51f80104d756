/* The numbers of methods, by their names as Python has them. */

#ifndef JRC_PYTHON_METHOD_IDS_H
#define JRC_PYTHON_METHOD_IDS_H

#include "python/arguments.h"

enum { SPD_METHOD_IDS = 32 };

/* A program names few methods, and by the same objects. */
struct spd_method_ids {
    struct {
        PyObject *name; /* owned, or NULL */
        uint16_t id;
    } known[SPD_METHOD_IDS];
};

/* The method_id of a call, as of jsonrpcc_call. */
uint16_t spd_method_ids_find(struct spd_method_ids *ids,
                             jsonrpcc_client *client,
                             const struct spd_arguments *arguments);
void spd_method_ids_clear(struct spd_method_ids *ids);

#endif
