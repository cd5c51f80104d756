/* Where the engine's names get their answers from: lookups and files. */

#ifndef JRC_SOURCES_H
#define JRC_SOURCES_H

#include "io/socket.h"

struct jrc_sources {
    struct jrc_sockets *sockets;  /* of the same loop */
    struct jrc_file_watch *watch; /* NULL: there is no file, or no inotify */
    struct event event;           /* of the watch */
};

/* Begin the lookups that are due. */
void jrc_sources_look_up(struct jrc_sources *sources, uint64_t now_us);

/* Stop watching files.  fd_lock is held: the descriptor is closed. */
void jrc_sources_close(struct jrc_sources *sources);

/* In a forked child: close our copy of the descriptor, and touch nothing else.
 */
void jrc_sources_abandon(const struct jrc_sources *sources);

#endif
