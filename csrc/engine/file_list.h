/* A list of entries as it was read from a file. */

#ifndef JRC_FILE_LIST_H
#define JRC_FILE_LIST_H

#include "engine/server_list.h"

enum { JRC_FILE_WHY = 160 };

/* Which version of which file it was.  All zero: of none. */
struct jrc_stamp {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns; /* by the clock of the file system */
    uint64_t hash;                   /* of the contents */
};

struct jrc_file_list {
    struct jrc_stamp stamp;
    struct jrc_server_list list; /* none if something was wrong with it */
    bool is_old;                 /* it had not been written to for a while */
    char why[JRC_FILE_WHY];      /* what was wrong with the contents, or "" */
};

/* NULL is ignored. */
void jrc_file_list_free(struct jrc_file_list *file);

bool jrc_stamp_is_same(const struct jrc_stamp *a, const struct jrc_stamp *b);

/* Whether two lists say the same, in the same order; either may be NULL, which
 * is an empty one.  *added and *gone: how many entries only b has, or only a.
 */
bool jrc_file_list_is_same(const struct jrc_file_list *a,
                           const struct jrc_file_list *b, uint32_t *added,
                           uint32_t *gone);

#endif
