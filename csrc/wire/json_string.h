/* Reading strings, 16 bytes at a time with SSE2, otherwise (or if JRC_NO_SIMD
 * is defined) 8.  Only for json_scan.c, which is why so much is inline. */
#ifndef JRC_JSON_STRING_H
#define JRC_JSON_STRING_H

#include "wire/json_plain.h"
#include "wire/json_text.h"

#include <stdint.h>

#if defined(__SSE2__) && !defined(JRC_NO_SIMD)
#include <emmintrin.h>
#define JRC_JSON_BLOCK 16
#else
#define JRC_JSON_BLOCK 8
#endif

/* A text and, once it is refused, why.  A function that reads part of it takes
 * the place where that begins, and returns the place after it, or NULL if it
 * refused the text. */
struct jrc_json_reader {
    const unsigned char *start, *end;
    const unsigned char *blocks_end; /* a whole block begins at any place
                                        before */
    bool closed;                     /* the last byte is a closing bracket */
    const unsigned char *at;
    const char *rule;
    enum jrc_json_error error;
};

void jrc_json_set_error(struct jrc_json_reader *reader,
                        enum jrc_json_error error, const unsigned char *at,
                        const char *rule);

/* Record why the text is refused, and return NULL. */
JRC_INLINE const unsigned char *jrc_json_refuse(struct jrc_json_reader *reader,
                                                enum jrc_json_error error,
                                                const unsigned char *at,
                                                const char *rule)
{
    jrc_json_set_error(reader, error, at, rule);
    return NULL;
}

/* The same for the most common reason. */
JRC_INLINE const unsigned char *jrc_json_refuse_syntax(
    struct jrc_json_reader *reader, const unsigned char *at, const char *rule)
{
    return jrc_json_refuse(reader, JRC_JSON_SYNTAX, at, rule);
}

/* Read the rest of a string from p, which is anywhere in it. */
const unsigned char *jrc_json_string_rest(struct jrc_json_reader *reader,
                                          const unsigned char *p);

#if JRC_JSON_BLOCK == 16

/* A bit for each byte of the block at p, set if the byte is not plain. */
JRC_INLINE uint64_t jrc_json_special_bits(const unsigned char *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* With the bit flipped as above, bytes up to 0x20 become negative.  Bytes
     * from 0x80 on are negative already, and saturation keeps them so. */
    __m128i flipped = _mm_xor_si128(bytes, _mm_set1_epi8(0x02));
    __m128i outside = _mm_subs_epi8(flipped, _mm_set1_epi8(0x21));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(outside, backslash));
}

/* The same near the end of the text, where no whole block begins at p: taken
 * from the block that ends with the text. */
JRC_INLINE uint64_t jrc_json_last_bits(const struct jrc_json_reader *reader,
                                       const unsigned char *p)
{
    if (reader->blocks_end == reader->start)
        return 0; /* there is no whole block */
    const unsigned char *last = reader->blocks_end - 1;
    return jrc_json_special_bits(last) >> (p - last);
}

JRC_INLINE const unsigned char *jrc_json_first_special(const unsigned char *p,
                                                       uint64_t bits)
{
    return p + __builtin_ctzll(bits);
}

/* The same by branches.  The processor predicts the length of a name that it
 * has seen before, and reads on without waiting for the bits. */
JRC_INLINE const unsigned char *jrc_json_first_special_in_name(
    const unsigned char *p, uint64_t bits)
{
    if (bits & 0x01)
        return p;
    if (bits & 0x02)
        return p + 1;
    if (bits & 0x04)
        return p + 2;
    if (bits & 0x08)
        return p + 3;
    if (bits & 0x10)
        return p + 4;
    if (bits & 0x20)
        return p + 5;
    if (bits & 0x40)
        return p + 6;
    if (bits & 0x80)
        return p + 7;
    return p + __builtin_ctzll(bits);
}

#else

JRC_INLINE uint64_t jrc_json_special_bits(const unsigned char *p)
{
    return jrc_json_special_word(p);
}

/* Always 0, that is, unknown: near the end, reading byte by byte is fast
 * enough. */
JRC_INLINE uint64_t jrc_json_last_bits(const struct jrc_json_reader *reader,
                                       const unsigned char *p)
{
    (void)reader;
    (void)p;
    return 0;
}

JRC_INLINE const unsigned char *jrc_json_first_special(const unsigned char *p,
                                                       uint64_t bits)
{
    (void)bits; /* their positions depend on the byte order */
    while (!jrc_json_is_special[*p])
        p++;
    return p;
}

JRC_INLINE const unsigned char *jrc_json_first_special_in_name(
    const unsigned char *p, uint64_t bits)
{
    return jrc_json_first_special(p, bits);
}

#endif

/* The bits of the block at p, as far as the text extends.  0: look closer. */
JRC_INLINE uint64_t jrc_json_bits(const struct jrc_json_reader *reader,
                                  const unsigned char *p)
{
    return JRC_LIKELY(p < reader->blocks_end) ? jrc_json_special_bits(p)
                                              : jrc_json_last_bits(reader, p);
}

/* A string; p is at its opening quote.  Most are plain and shorter than two
 * blocks. */
JRC_INLINE const unsigned char *jrc_json_read_string(
    struct jrc_json_reader *reader, const unsigned char *p)
{
    uint64_t bits = jrc_json_bits(reader, ++p);

    if (bits == 0 && p < reader->blocks_end) {
        p += JRC_JSON_BLOCK;
        bits = jrc_json_bits(reader, p);
    }
    if (JRC_LIKELY(bits != 0)) {
        p = jrc_json_first_special(p, bits);
        if (JRC_LIKELY(*p == '"'))
            return p + 1;
    }
    return jrc_json_string_rest(reader, p);
}

/* A string that is a member's name. */
JRC_INLINE const unsigned char *jrc_json_read_name(
    struct jrc_json_reader *reader, const unsigned char *p)
{
    uint64_t bits = jrc_json_bits(reader, ++p);

    if (JRC_LIKELY(bits != 0)) {
        p = jrc_json_first_special_in_name(p, bits);
        if (JRC_LIKELY(*p == '"'))
            return p + 1;
    }
    return jrc_json_string_rest(reader, p);
}

#endif
