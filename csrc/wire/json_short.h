/* Short texts without anything unusual in them, which most params and many
 * results are: read with a set of bits in one word. */
#ifndef JRC_JSON_SHORT_H
#define JRC_JSON_SHORT_H

#include "wire/json_text.h"

#include <stdint.h>

enum { JRC_JSON_SHORT_LEAST = 8, JRC_JSON_SHORT_MOST = 64 };

/* So many containers may be nested in a short text, each of two bytes. */
enum { JRC_JSON_SHORT_DEPTH = JRC_JSON_SHORT_MOST / 2 };

/* The place after the array or object at text[0], or NULL: it takes a closer
 * look, be it right or wrong.  text[0..len) has LEAST to MOST bytes, the first
 * of which opens a container, and the last closes one. */
const unsigned char *jrc_json_short_end(const unsigned char *text, size_t len);

/* Whether text may be given to that; not without SSE2. */
JRC_INLINE bool jrc_json_is_short(const unsigned char *text, size_t len,
                                  unsigned max_depth)
{
#if defined(__SSE2__) && !defined(JRC_NO_SIMD)
    return len - JRC_JSON_SHORT_LEAST <=
               JRC_JSON_SHORT_MOST - JRC_JSON_SHORT_LEAST &&
           max_depth >= JRC_JSON_SHORT_DEPTH &&
           (text[0] == '{' || text[0] == '[') &&
           (text[len - 1] == '}' || text[len - 1] == ']');
#else
    (void)text;
    (void)len;
    (void)max_depth;
    return false;
#endif
}

#endif
