/* One pass over JSON text: is it RFC 8259 in strict UTF-8, and where are the
 * members that the caller wants?  Nothing is decoded or allocated, and what is
 * accepted here may be passed on as raw text.  The functions work on bytes and
 * keep no state. */
#ifndef JRC_JSON_SCAN_H
#define JRC_JSON_SCAN_H

#include "wire/json_text.h"

/* The largest max_depth: it sizes a bit stack of 512 bytes. */
#define JRC_JSON_DEPTH_MAX 4096

struct jrc_json_report {
    enum jrc_json_error error;
    size_t at;               /* of the offending byte; len if text ends early */
    const char *rule;        /* the rule broken, static; NULL if OK */
    enum jrc_json_type type; /* of the top-level value; NONE unless accepted */
};

/* Whether text[0..len) is one JSON value with only white space around it.
 *
 * Names are compared after decoding their escapes: "i\u0064" is id.  Escapes of
 * lone surrogates are accepted, as the grammar allows them; a byte order mark
 * is not.  max_depth is how many containers may be nested, including the
 * top-level one; at most JRC_JSON_DEPTH_MAX.
 *
 * Fills *report in either case.  If this returns false, all members are
 * absent. */
bool jrc_json_scan(const char *text, size_t len, unsigned max_depth,
                   struct jrc_json_member *members, size_t member_count,
                   struct jrc_json_report *report);

/* The first byte from p on that is not white space, or end. */
static inline const char *jrc_json_skip(const char *p, const char *end)
{
    while (p < end && *p <= ' ' &&
           (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* The end of the JSON value that begins at text (not with white space); NULL if
 * there is no valid value.  What follows it, up to end, is not examined. */
const char *jrc_json_value_end(const char *text, const char *end,
                               unsigned max_depth);

#endif
