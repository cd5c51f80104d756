/* The list of servers as users write it. */

#ifndef JRC_SERVERS_PARSE_H
#define JRC_SERVERS_PARSE_H

#include "engine/server_list.h"

/* Read a list of entries with spaces between them:
 *
 *   entry  = target ["," priority ["," weight]]    larger priorities first; 1
 *   target = host:port                       one server
 *          | dns:host:port | dns4:... | dns6:...   one for each address
 *          | srv:_service._proto.domain       one for each SRV record
 *          | unix:/path | unix-abstract:name       see wire/unix_path.h
 *          | file:/path                     the entries in a file
 *          | fd:7                             a descriptor, see io/given.h
 *
 * No entry may occur twice.  Returns 0, or an errno, and then nothing is
 * allocated.  With EINVAL, why[0..why_size) says what is wrong and at which
 * offset; ENOMEM leaves it alone. */
int jrc_servers_parse(struct jrc_server_list *list, const char *text, char *why,
                      size_t why_size);

/* What entries have that say nothing else. */
struct jrc_defaults {
    int32_t priority;
    uint32_t weight;
};

enum {
    JRC_FILE_MAX = 1024 * 1024, /* bytes of a file */
    JRC_FILE_ENTRIES = 16384,   /* that it may have */
    JRC_FILE_PATH = 300         /* bytes of its path, as it is written */
};

/* Read the contents of a file: the same, but without files, and '#' begins a
 * comment where an entry might begin, up to the end of the line.  text[len] is
 * NUL.  why names the line. */
int jrc_servers_parse_file(struct jrc_server_list *list, const char *text,
                           size_t len, const struct jrc_defaults *defaults,
                           char *why, size_t why_size);

#endif
