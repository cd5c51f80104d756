/* One pass over JSON text: is it RFC 8259 in strict UTF-8, and where do the
 * members lie that the caller wants?  Nothing is decoded or allocated; what is
 * accepted here is safe to hand on as raw text.  Functions of bytes, no state.
 */
#ifndef JRC_JSON_SCAN_H
#define JRC_JSON_SCAN_H

#include "wire/json_text.h"

/* No max_depth is larger than this: it sizes a bit stack, 512 bytes. */
#define JRC_JSON_DEPTH_MAX 4096

struct jrc_json_report {
    enum jrc_json_error error;
    size_t at;               /* of the offending byte; len if text ends early */
    const char *rule;        /* the rule broken, static; NULL if OK */
    enum jrc_json_type type; /* of the top-level value; NONE unless accepted */
};

/* Whether text[0..len) is one JSON value with nothing but white space around.
 *
 * Names are compared after decoding their escapes: "i\u0064" is id.  Escapes of
 * lone surrogates are accepted, as the grammar has them; a byte order mark is
 * not.  max_depth is how many containers may be nested, the top-level one
 * counting 1; at most JRC_JSON_DEPTH_MAX.
 *
 * Fills *report in either case.  On false all members are absent. */
bool jrc_json_scan(const char *text, size_t len, unsigned max_depth,
                   struct jrc_json_member *members, size_t member_count,
                   struct jrc_json_report *report);

/* The first byte from p on that is no white space, or end. */
static inline const char *jrc_json_skip(const char *p, const char *end)
{
    while (p < end && *p <= ' ' &&
           (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Where the JSON value that begins at text, with no white space before, ends;
 * NULL if none does.  What stands behind it, up to end, is not looked at. */
const char *jrc_json_value_end(const char *text, const char *end,
                               unsigned max_depth);

#endif
