/* Plain bytes: what stands for itself in a string and needs no look of its own.
 * ASCII, and neither a control character, a quote nor a backslash. */
#ifndef JRC_JSON_PLAIN_H
#define JRC_JSON_PLAIN_H

#include "wire/json_text.h"

#include <stdint.h>
#include <string.h>

/* Whether text can stand between quotes as it is: ASCII, and neither a control
 * character, a quote nor a backslash. */
bool jrc_json_is_plain(const char *text, size_t len);

extern const bool jrc_json_is_special[256]; /* bytes that are not plain */

#define JRC_JSON_WORD 8

/* 0 if all bytes of the word at p are plain.  With one bit flipped a quote is
 * 0x20, next to the control characters.  The subtractions borrow only above a
 * byte that is not plain, so no other word looks like one. */
JRC_INLINE uint64_t jrc_json_special_word(const unsigned char *p)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t bytes;

    memcpy(&bytes, p, sizeof bytes);
    uint64_t below = (bytes ^ ones * 0x02) - ones * 0x21;
    uint64_t backslash = (bytes ^ ones * '\\') - ones;

    return (below | backslash | bytes) & ones * 0x80;
}

#endif
