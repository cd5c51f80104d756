/* Plain bytes: those that stand for themselves in a string.  They are ASCII,
 * and neither control characters, quotes nor backslashes. */
#ifndef JRC_JSON_PLAIN_H
#define JRC_JSON_PLAIN_H

#include "wire/json_text.h"

#include <stdint.h>
#include <string.h>

extern const bool jrc_json_is_special[256]; /* bytes that are not plain */

#define JRC_JSON_WORD 8

/* 0 if all bytes of the word are plain.  Flipping one bit turns a quote
 * into 0x20, next to the control characters.  The subtractions borrow only
 * above a byte that is not plain, so no other word is mistaken for one. */
JRC_INLINE uint64_t jrc_json_special_of(uint64_t bytes)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t below = (bytes ^ ones * 0x02) - ones * 0x21;
    uint64_t backslash = (bytes ^ ones * '\\') - ones;

    return (below | backslash | bytes) & ones * 0x80;
}

JRC_INLINE uint64_t jrc_json_special_word(const void *p)
{
    uint64_t bytes;

    memcpy(&bytes, p, sizeof bytes);
    return jrc_json_special_of(bytes);
}

/* The next one for texts of any length. */
bool jrc_json_is_all_plain(const char *text, size_t len);

/* Whether text can be put between quotes unchanged: all its bytes are plain.
 * Most names have 4 to 16 bytes, which is one word, or two that overlap. */
JRC_INLINE bool jrc_json_is_plain(const char *text, size_t len)
{
    uint32_t head, tail;

    if (len - 8 <= 8)
        return jrc_json_special_word(text + len - 8) == 0 &&
               (len == 8 || jrc_json_special_word(text) == 0);
    if (len - 4 > 4)
        return jrc_json_is_all_plain(text, len);
    memcpy(&head, text, sizeof head);
    memcpy(&tail, text + len - 4, sizeof tail);
    return jrc_json_special_of((uint64_t)head << 32 | tail) == 0;
}

#endif
