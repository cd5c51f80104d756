/* Notices changes of files by inotify, which watches their directories.
 *
 * One thread owns it; those that read the files add to it, since that looks up
 * a path and may hang.  Without it, because the system has no more of them,
 * changes are found by looking from time to time. */

#ifndef JRC_FILE_WATCH_H
#define JRC_FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct jrc_file_watch;

/* NULL: errno says why. */
struct jrc_file_watch *jrc_file_watch_new(void);

/* Readable when something has happened. */
int jrc_file_watch_fd(const struct jrc_file_watch *watch);

/* Another reference, for a thread that reads; and its end.  The last one frees
 * it. */
struct jrc_file_watch *jrc_file_watch_ref(struct jrc_file_watch *watch);
void jrc_file_watch_unref(struct jrc_file_watch *watch);

/* The owner's end: nothing is added any more, and the descriptor is closed; by
 * the last thread that is adding, if there is one.  NULL is ignored. */
void jrc_file_watch_close(struct jrc_file_watch *watch);

/* Any thread: watch the directory of path, again if it is another one by now.
 */
void jrc_file_watch_add(struct jrc_file_watch *watch, uint32_t id,
                        const char *path);

/* Watch no files but those for which is_wanted(arg, id) holds. */
void jrc_file_watch_keep(struct jrc_file_watch *watch,
                         bool (*is_wanted)(void *arg, uint32_t id), void *arg);

/* Take what has happened, and call touch(arg, id, moved) for each file that it
 * may be about; moved: one was moved to its place. */
void jrc_file_watch_take(struct jrc_file_watch *watch,
                         void (*touch)(void *arg, uint32_t id, bool moved),
                         void *arg);

#endif
