/* Addresses of Unix sockets as users write them: "unix:/run/x.sock" and
 * "unix-abstract:name", escaped as wire/path_text.h has it. */

#ifndef JRC_UNIX_PATH_H
#define JRC_UNIX_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum {
    JRC_UNIX_PATH_MAX = 107, /* bytes that the kernel takes */
    /* "unix-abstract:", every byte escaped, NUL */
    JRC_UNIX_TEXT_SIZE = 14 + 3 * JRC_UNIX_PATH_MAX + 1
};

struct jrc_unix_path {
    bool is_abstract;                  /* a name that is in no file system */
    size_t len;                        /* at least 1 */
    char bytes[JRC_UNIX_PATH_MAX + 1]; /* NUL-terminated; no NUL in it */
};

/* Whether text is meant to be such an address: it begins with a scheme.  But
 * "unix:80" is a port of a host that is called unix. */
bool jrc_unix_path_is_meant(const char *text);

/* Read such an address, up to a space, a ',' or the end of text.  Returns its
 * end.  NULL: it is wrong, and then *at is the place and *rule what is expected
 * there. */
const char *jrc_unix_path_read(struct jrc_unix_path *path, const char *text,
                               const char **at, const char **rule);

/* Write the one form that equal addresses have in common, NUL-terminated. */
void jrc_unix_path_print(const struct jrc_unix_path *path,
                         char text[JRC_UNIX_TEXT_SIZE]);

#endif
