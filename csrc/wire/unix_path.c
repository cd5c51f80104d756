#include "wire/unix_path.h"

#include "wire/path_text.h"

#include <string.h>

static const char plain_scheme[] = "unix:";
static const char abstract_scheme[] = "unix-abstract:";

/* The length of a scheme that text begins with, or 0. */
static size_t scheme_of(const char *text, const char *scheme)
{
    size_t len = strlen(scheme);

    return strncmp(text, scheme, len) == 0 ? len : 0;
}

bool jrc_unix_path_is_meant(const char *text)
{
    size_t scheme = scheme_of(text, plain_scheme);

    if (scheme > 0)
        return text[scheme] < '0' || text[scheme] > '9';
    return scheme_of(text, abstract_scheme) > 0;
}

const char *jrc_unix_path_read(struct jrc_unix_path *path, const char *text,
                               const char **at, const char **rule)
{
    size_t scheme = scheme_of(text, plain_scheme);

    memset(path, 0, sizeof *path);
    *rule = NULL;
    path->is_abstract = scheme == 0;
    if (path->is_abstract)
        scheme = scheme_of(text, abstract_scheme);
    *at = text + scheme;
    if (path->is_abstract && jrc_path_text_ends(**at))
        *rule = "the name of an abstract socket is expected";
    else if (!path->is_abstract && **at != '/')
        *rule = "an absolute path is expected";
    else
        *at = jrc_path_text_read(path->bytes, JRC_UNIX_PATH_MAX, &path->len,
                                 *at, rule);
    if (*rule != NULL && **rule == '\0')
        *rule = "a path of at most 107 bytes is expected";
    return *rule == NULL ? *at : NULL;
}

void jrc_unix_path_print(const struct jrc_unix_path *path,
                         char text[JRC_UNIX_TEXT_SIZE])
{
    const char *scheme = path->is_abstract ? abstract_scheme : plain_scheme;

    jrc_path_text_print(stpcpy(text, scheme), path->bytes, path->len);
}
