/* What all readers of JSON text share: types, errors, white space, and how to
 * find members. */
#ifndef JRC_JSON_TEXT_H
#define JRC_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* For the few branches per byte that the scanner's speed depends on. */
#define JRC_INLINE static inline __attribute__((always_inline))
#define JRC_LIKELY(condition) __builtin_expect((condition) ? 1 : 0, 1)
#define JRC_UNLIKELY(condition) __builtin_expect((condition) ? 1 : 0, 0)

enum jrc_json_type {
    JRC_JSON_NONE,
    JRC_JSON_NULL,
    JRC_JSON_FALSE,
    JRC_JSON_TRUE,
    JRC_JSON_NUMBER,
    JRC_JSON_STRING,
    JRC_JSON_ARRAY,
    JRC_JSON_OBJECT,
};

enum jrc_json_error {
    JRC_JSON_OK,
    JRC_JSON_SYNTAX,
    JRC_JSON_UTF8,
    JRC_JSON_DEPTH,
};

/* A member of the top-level object that the caller wants.  The caller sets name
 * (in ASCII, unescaped) and name_len; a scan sets the rest. */
struct jrc_json_member {
    const char *name;
    size_t name_len;
    enum jrc_json_type type; /* NONE: absent */
    unsigned count;          /* how often the name occurs */
    const char *text;        /* the first value, borrowed from the text */
    size_t len;              /* of exactly that value; a string includes its
                                quotes */
};

/* The type of a value by its first byte; NONE if no value begins with it. */
extern const unsigned char jrc_json_type_of[256];

/* The first byte from p on that is not white space, or end. */
const unsigned char *jrc_json_skip_run(const unsigned char *p,
                                       const unsigned char *end);

/* The same, where white space is rare. */
JRC_INLINE const unsigned char *jrc_json_skip_space(const unsigned char *p,
                                                    const unsigned char *end)
{
    if (JRC_UNLIKELY(p < end && *p <= ' '))
        return jrc_json_skip_run(p, end);
    return p;
}

JRC_INLINE bool jrc_json_is_digit(unsigned char c)
{
    return (unsigned)c - '0' <= 9;
}

bool jrc_json_is_space(unsigned char c);

/* The value of a hexadecimal digit, or -1. */
int jrc_json_hex_value(unsigned char c);

/* Make all members absent. */
void jrc_json_members_reset(struct jrc_json_member *members, size_t count);

/* Count the member called name[0..len), as it is spelled between its quotes.
 * NULL if it is not wanted, or is not the first of this name.  Any bytes are
 * allowed. */
struct jrc_json_member *jrc_json_members_find(struct jrc_json_member *members,
                                              size_t count,
                                              const unsigned char *name,
                                              size_t len);

#endif
