/* Whom to tell the outcome of which call. */

#ifndef JRC_PYTHON_ENTRIES_H
#define JRC_PYTHON_ENTRIES_H

#include "python/core.h"

/* Whom to tell the outcome of a call.  It is filled before the call is
 * submitted, for the outcome may come first.  If the call is refused it is
 * discarded with that, in the same step of C code; if it is accepted, the
 * outcome alone takes it out.
 *
 * A token names one filling of an entry: after that it matches nothing, so no
 * outcome can reach another call, whatever else goes wrong. */
struct spd_entry {
    PyObject *on_result, *on_error; /* NULL or None: none */
    PyObject *method;               /* NULL: the entry is free */
    uint32_t next_free;
    uint32_t generation;
};

struct spd_entries {
    struct spd_entry *list;
    uint32_t used, room, free;
    Py_ssize_t live;
};

#define SPD_NO_SLOT UINT32_MAX
#define SPD_NO_ENTRY UINT64_MAX

void spd_entries_init(struct spd_entries *entries);

/* The token, or SPD_NO_ENTRY with an exception. */
uint64_t spd_entries_put(struct spd_entries *entries, PyObject *on_result,
                         PyObject *on_error, PyObject *method);

/* Look at an entry, borrowed; its method is NULL if there is none. */
void spd_entries_get(const struct spd_entries *entries, uint64_t token,
                     struct spd_entry *entry);

/* Take an entry out: its references are the caller's.  False: there is none. */
bool spd_entries_take(struct spd_entries *entries, uint64_t token,
                      struct spd_entry *entry);
bool spd_entries_take_any(struct spd_entries *entries, uint32_t slot,
                          struct spd_entry *entry);
void spd_entry_drop(struct spd_entry *entry);
void spd_entries_discard(struct spd_entries *entries, uint64_t token);
int spd_entries_visit(const struct spd_entries *entries, visitproc visit,
                      void *arg);
void spd_entries_clear(struct spd_entries *entries);

#endif
