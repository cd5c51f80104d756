/* Reads files of entries.  A file system may make this hang. */

#ifndef JRC_FILE_READ_H
#define JRC_FILE_READ_H

#include "engine/answer.h"
#include "engine/servers_parse.h"

/* What the reader has to know of a file. */
struct jrc_file_ask {
    struct jrc_stamp known; /* of the version that need not be read again */
    struct jrc_defaults defaults;
};

/* Read the file at that path, which is escaped as in the servers string. */
void jrc_file_read(const char *path, const struct jrc_file_ask *ask,
                   struct jrc_answer *answer);

/* Without its escapes.  Returns path. */
char *jrc_file_path(char path[JRC_FILE_PATH + 1], const char *text);

#endif
