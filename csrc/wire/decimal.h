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

#endif
