/* Files of entries: which of their versions count.
 *
 * A file may be read while it is written, so what was read has to be there
 * twice, JRC_FILE_SETTLE_US apart, before it changes anything; a mistake has
 * to, too, before it is told.  Not so a file that was moved to its place, which
 * is whole, and one that is read first and is old, or missing.  A file that is
 * wrong, empty or gone changes nothing.
 *
 * Policy only: the clock (monotonic microseconds) is an argument. */

#ifndef JRC_FILES_H
#define JRC_FILES_H

#include "engine/name.h"

enum {
    JRC_FILE_CHECK_US = 5000000, /* to the next look, if nothing is noticed */
    JRC_FILE_SETTLE_US = 250000,
    JRC_FILE_GAP_US = 10000 /* between two looks at least */
};

/* What is known of a file. */
struct jrc_file {
    struct jrc_file_list *list;   /* in force; NULL: none so far */
    struct jrc_file_list *before; /* it, until that is known to be in force */
    struct jrc_answer candidate;  /* read, and not settled */
    uint64_t candidate_us;        /* when it was read first; 0: there is none */
    struct jrc_stamp refused;     /* the version that is wrong */
    bool is_news;           /* the last answer is refused, and was not told
                               before */
    bool touched, moved;    /* since the look that is under way began, or
                               the last one */
    bool is_moved;          /* what that look finds was moved there */
    char why[JRC_FILE_WHY]; /* what is wrong in the contents; "": nothing */
};

/* NULL is ignored. */
void jrc_file_free(struct jrc_file *file);

/* The entries that a name has as it is a file; NULL: none. */
const struct jrc_server_list *jrc_files_list(const struct jrc_name *name);

/* The version in force, which need not be read again; NULL: none. */
const struct jrc_stamp *jrc_files_stamp(const struct jrc_name *name);

/* A look at the file begins. */
void jrc_files_begin(struct jrc_name *name);

/* Something has happened to the file; moved: one was moved to its place. */
void jrc_files_touch(struct jrc_name *name, bool moved, uint64_t now_us);

/* Whatever is in force, the file has to be read. */
void jrc_files_reread(struct jrc_name *name, uint64_t now_us);

/* An answer for the file, which is taken over; min_us is dns_min.  True: the
 * list says something else, and jrc_files_done() has to follow. */
bool jrc_files_answer(struct jrc_name *name, struct jrc_answer *answer,
                      uint64_t min_us, uint64_t now_us);

/* Whether there was memory for the new list.  If not, the old one stays. */
void jrc_files_done(struct jrc_name *name, bool is_in_force);

#endif
