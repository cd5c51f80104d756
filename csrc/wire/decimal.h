/* Numbers in decimal: their sizes, and their digits, written backwards. */

#ifndef JRC_DECIMAL_H
#define JRC_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline size_t jrc_decimal_size(uint64_t number)
{
    static const uint64_t powers[] = {
        0,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
        10000000000000000000u,
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(number | 1);
    unsigned size = bits * 1233 >> 12; /* bits * log10(2), never too large */

    return size + (number >= powers[size]);
}

/* How many of the eight bytes at p are digits, up to the first one that is not;
 * *number is what they say.  All at once, without a branch for each. */
static inline unsigned jrc_decimal_read8(const char *p, uint64_t *number)
{
    const uint64_t ones = UINT64_MAX / 255;
    unsigned count = 8;
    uint64_t word;

    memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    word ^= ones * '0';
    /* The sums carry only beyond a byte that is no digit. */
    uint64_t others = ((word + ones * (0x80 - 10)) | word) & ones * 0x80;
    if (others != 0)
        count = (unsigned)__builtin_ctzll(others) / 8;
    if (count == 0) {
        *number = 0;
        return 0;
    }
    /* As if zeros preceded them: then pairs, then fours, then all. */
    const uint64_t every_fourth = UINT64_C(0x000000FF000000FF);
    word <<= 64 - 8 * count;
    word = word * 10 + (word >> 8);
    word = (word & every_fourth) * (UINT64_C(1000000) << 32 | 100) +
           (word >> 16 & every_fourth) * (UINT64_C(10000) << 32 | 1);
    *number = word >> 32;
    return count;
}

/* Write number so that it ends before end.  Returns where it begins. */
static inline char *jrc_decimal_before(char *end, uint64_t number)
{
    static const char pairs[] = "00010203040506070809"
                                "10111213141516171819"
                                "20212223242526272829"
                                "30313233343536373839"
                                "40414243444546474849"
                                "50515253545556575859"
                                "60616263646566676869"
                                "70717273747576777879"
                                "80818283848586878889"
                                "90919293949596979899";

    for (; number >= 100; number /= 100) {
        end -= 2;
        memcpy(end, pairs + number % 100 * 2, 2);
    }
    if (number >= 10) {
        end -= 2;
        memcpy(end, pairs + number * 2, 2);
    } else {
        *--end = (char)('0' + number);
    }
    return end;
}

/* Write number, which has at most eight digits, with zeros before them. */
static inline void jrc_decimal_write8(char *out, uint64_t number)
{
    /* Divisions by multiplying, exact for what is divided: fours, then pairs,
     * then digits, each in its part of a word, the first one lowest. */
    uint64_t fours = number / 10000 | (number % 10000) << 32;
    uint64_t tops = (fours * 10486 >> 20) & UINT64_C(0x0000007F0000007F);
    uint64_t pairs = ((fours - tops * 100) << 16) + tops;
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000F000F000F000F);
    uint64_t word = ((pairs - tens * 10) << 8) + tens + UINT64_MAX / 255 * '0';

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(out, &word, 8);
}

/* The same as jrc_decimal_before() where eight bytes before end are to be
 * written in any case. */
static inline char *jrc_decimal_before8(char *end, uint64_t number)
{
    enum { LIMIT = 100000000 };

    end -= 8;
    jrc_decimal_write8(end, number % LIMIT);
    return number < LIMIT ? end + 8 - jrc_decimal_size(number)
                          : jrc_decimal_before(end, number / LIMIT);
}

#endif
