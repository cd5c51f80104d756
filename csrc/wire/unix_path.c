#include "wire/unix_path.h"

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

/* Whether it stands for itself. */
static bool is_plain(char c)
{
    return c > 0x20 && c < 0x7f && c != ',' && c != '%';
}

static bool ends(char c)
{
    return c == '\0' || c == ',' || c == ' ' || c == '\t' || c == '\n' ||
           c == '\r';
}

/* -1: it is none. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Read one byte.  Returns what follows it; NULL: the escape is wrong. */
static const char *read_byte(const char *at, char *byte)
{
    if (*at != '%') {
        *byte = *at;
        return at + 1;
    }
    int high = hex_value(at[1]);
    int low = high < 0 ? -1 : hex_value(at[2]);
    if (low < 0)
        return NULL;
    *byte = (char)(high * 16 + low);
    return at + 3;
}

/* The bytes after the scheme; as jrc_unix_path_read(). */
static const char *read_bytes(struct jrc_unix_path *path, const char *text,
                              const char **rule)
{
    while (!ends(*text)) {
        char byte;
        const char *next = read_byte(text, &byte);
        if (next == NULL)
            *rule = "two hex digits are expected after '%'";
        else if (byte == '\0')
            *rule = "a path must not contain NUL";
        else if (path->len == JRC_UNIX_PATH_MAX)
            *rule = "a path of at most 107 bytes is expected";
        else
            path->bytes[path->len++] = byte;
        if (*rule != NULL)
            break;
        text = next;
    }
    return text;
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
    if (path->is_abstract && ends(**at))
        *rule = "the name of an abstract socket is expected";
    else if (!path->is_abstract && **at != '/')
        *rule = "an absolute path is expected";
    else
        *at = read_bytes(path, *at, rule);
    return *rule == NULL ? *at : NULL;
}

void jrc_unix_path_print(const struct jrc_unix_path *path,
                         char text[JRC_UNIX_TEXT_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    const char *scheme = path->is_abstract ? abstract_scheme : plain_scheme;

    text = stpcpy(text, scheme);
    for (size_t i = 0; i < path->len; i++) {
        unsigned char c = (unsigned char)path->bytes[i];
        if (is_plain(path->bytes[i])) {
            *text++ = path->bytes[i];
            continue;
        }
        *text++ = '%';
        *text++ = digits[c >> 4];
        *text++ = digits[c & 15];
    }
    *text = '\0';
}
