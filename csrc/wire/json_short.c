#include "wire/json_short.h"

#include "wire/json_string.h"

#include <string.h>

#if JRC_JSON_BLOCK == 16

/* A text whose last byte is a closing bracket, so that every other byte has a
 * successor, and a run of anything else ends in the text.
 *
 * A function that reads part of it takes the place where that begins, and
 * returns the place after it, or NULL: it takes a closer look. */
struct text {
    const unsigned char *start, *end;
    uint64_t quotes; /* a bit for each, from the place on */
};

/* A bit for each quote in a block; adds to *seen what takes a closer look:
 * control characters, what is not ASCII, and backslashes. */
JRC_INLINE uint64_t find_quotes(const unsigned char *block, __m128i *seen)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
    __m128i outside = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed */
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));

    *seen = _mm_or_si128(*seen, _mm_or_si128(outside, backslash));
    return (unsigned)_mm_movemask_epi8(quote);
}

/* Sets the quotes.  False: some byte takes a closer look, wherever it is. */
JRC_INLINE bool look(struct text *text)
{
    const unsigned char *start = text->start;
    size_t len = (size_t)(text->end - start);
    size_t last = len - JRC_JSON_BLOCK;
    __m128i seen = _mm_setzero_si128();
    uint64_t quotes = 0;

    if (len < JRC_JSON_BLOCK) { /* two words, which overlap */
        unsigned char block[JRC_JSON_BLOCK];
        memcpy(block, start, 8);
        memcpy(block + 8, text->end - 8, 8);
        quotes = find_quotes(block, &seen);
        quotes = (quotes & 0xFF) | quotes >> 8 << (len - 8);
    } else {
        for (size_t i = 0; i < last; i += JRC_JSON_BLOCK)
            quotes |= find_quotes(start + i, &seen) << i;
        quotes |= find_quotes(start + last, &seen) << last;
    }
    text->quotes = quotes;
    return _mm_movemask_epi8(seen) == 0;
}

/* A string.  The bit of its opening quote is the lowest. */
JRC_INLINE const unsigned char *read_string(struct text *text)
{
    uint64_t after = text->quotes & (text->quotes - 1);

    if (JRC_UNLIKELY(after == 0))
        return NULL;
    text->quotes = after & (after - 1);
    return text->start + __builtin_ctzll(after) + 1;
}

/* By branches: the processor predicts how many there are, and reads on. */
JRC_INLINE const unsigned char *skip_digits(const unsigned char *p)
{
    for (;; p += 4) {
        if (!jrc_json_is_digit(p[0]))
            return p;
        if (!jrc_json_is_digit(p[1]))
            return p + 1;
        if (!jrc_json_is_digit(p[2]))
            return p + 2;
        if (!jrc_json_is_digit(p[3]))
            return p + 3;
    }
}

/* A number without an exponent; p is after the sign. */
JRC_INLINE const unsigned char *read_number(const unsigned char *p)
{
    const unsigned char *first = p;

    p = skip_digits(p);
    if (JRC_UNLIKELY(p == first || (*first == '0' && p - first > 1)))
        return NULL;
    if (JRC_LIKELY(*p != '.'))
        return p;
    first = p + 1;
    p = skip_digits(first);
    return p > first ? p : NULL;
}

JRC_INLINE const unsigned char *read_literal(const unsigned char *p,
                                             const unsigned char *end)
{
    if (end - p < 5) /* the shortest, and a bracket */
        return NULL;
    if (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0)
        return p + 4;
    return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

JRC_INLINE const unsigned char *read_scalar(struct text *text,
                                            const unsigned char *p)
{
    if (JRC_LIKELY(*p == '"'))
        return read_string(text);
    if (JRC_LIKELY(jrc_json_is_digit(*p)))
        return read_number(p);
    return *p == '-' ? read_number(p + 1) : read_literal(p, text->end);
}

JRC_INLINE const unsigned char *skip_spaces(const unsigned char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

/* Whether p, which may move over spaces, is at a container. */
JRC_INLINE bool opens_container(const unsigned char **p)
{
    if (JRC_LIKELY(**p == '"' || jrc_json_is_digit(**p)))
        return false;
    *p = skip_spaces(*p);
    return **p == '{' || **p == '[';
}

/* As in json_scan.c, the labels say where p is, and in which kind of
 * container. */
const unsigned char *jrc_json_short_end(const unsigned char *p, size_t len)
{
    struct text text = {.start = p, .end = p + len};
    uint64_t kinds = 1; /* a bit for each container that is open, set for an
                           object; and above them one that is always set */

    if (!look(&text))
        return NULL;

open:
    if (*p++ == '[') {
        kinds <<= 1;
        if (*p == ']')
            goto close;
        goto element;
    }
    kinds = kinds << 1 | 1;
    if (*p == '}')
        goto close;

member:
    if (JRC_UNLIKELY(*p != '"')) {
        p = skip_spaces(p);
        if (*p != '"')
            return NULL;
    }
    p = read_string(&text);
    if (JRC_UNLIKELY(p == NULL || *p != ':'))
        return NULL;
    p++;
    if (opens_container(&p))
        goto open;
    p = read_scalar(&text, p);
    if (JRC_UNLIKELY(p == NULL))
        return NULL;

after_member:
    if (*p == ',') {
        p++;
        goto member;
    }
    if (*p == '}')
        goto close;
    return NULL;

element:
    if (opens_container(&p))
        goto open;
    p = read_scalar(&text, p);
    if (JRC_UNLIKELY(p == NULL))
        return NULL;

after_element:
    if (*p == ',') {
        p++;
        goto element;
    }
    if (*p != ']')
        return NULL;

close:
    p++;
    kinds >>= 1;
    if (kinds == 1)
        return p;
    if (p == text.end) /* a bracket is still open */
        return NULL;
    if ((kinds & 1) != 0)
        goto after_member;
    goto after_element;
}

#else

const unsigned char *jrc_json_short_end(const unsigned char *text, size_t len)
{
    (void)text;
    (void)len;
    return NULL;
}

#endif
