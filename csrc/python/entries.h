/* Which callbacks or future get the outcome of a call. */

#ifndef JRC_PYTHON_ENTRIES_H
#define JRC_PYTHON_ENTRIES_H

#include "python/core.h"

/* What gets the outcome of a call.  The entry is filled before the call is
 * submitted, because the outcome may come first.  If the call is refused, the
 * entry is discarded in the same step of C code; once it is accepted, only the
 * outcome takes the entry out.
 *
 * A token identifies one use of an entry.  After that it matches nothing, so no
 * outcome can reach another call, whatever else goes wrong. */
struct spd_entry {
    PyObject *on_result, *on_error; /* NULL or None: none */
    PyObject *method;               /* NULL: the entry is free */
    PyObject *decoder;              /* of its result; NULL: the codec */
    uint32_t next_free;
    uint32_t generation;
};

struct spd_entries {
    struct spd_entry *list;
    uint32_t used, room, free;
    Py_ssize_t live, typed; /* how many there are, and have a decoder */
};

#define SPD_NO_SLOT UINT32_MAX
#define SPD_NO_ENTRY UINT64_MAX

void spd_entries_init(struct spd_entries *entries);

/* Returns the token, or SPD_NO_ENTRY with an exception. */
uint64_t spd_entries_put(struct spd_entries *entries, PyObject *on_result,
                         PyObject *on_error, PyObject *method,
                         PyObject *decoder);

/* Read an entry, borrowed; its method is NULL if there is none. */
void spd_entries_get(const struct spd_entries *entries, uint64_t token,
                     struct spd_entry *entry);

/* Take an entry out: its references go to the caller.  False: there is none. */
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
