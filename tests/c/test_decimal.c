/* Numbers in decimal, and back. */
#include "check.h"
#include "wire/decimal.h"

#include <inttypes.h>
#include <stdlib.h>

/* What comes before the digits is overwritten, if at all, in eight bytes before
 * the end. */
static void check_writing(uint64_t number)
{
    char want[32], got[64];
    char *end = got + sizeof got;
    size_t size = (size_t)snprintf(want, sizeof want, "%" PRIu64, number);

    CHECK(jrc_decimal_size(number) == size);
    memset(got, '#', sizeof got);
    char *begin = jrc_decimal_before(end, number);
    CHECK(begin == end - size && memcmp(begin, want, size) == 0);
    CHECK(begin[-1] == '#');
    memset(got, '#', sizeof got);
    begin = jrc_decimal_before8(end, number);
    if (!CHECK(begin == end - size && memcmp(begin, want, size) == 0))
        printf("  %s\n", want);
    CHECK((size > 8 ? begin : end - 8)[-1] == '#');
}

/* In memory of exactly eight bytes, so that ASan sees what is read beyond. */
static void check_reading(const char *digits, size_t count, char after)
{
    char want[9] = {0}, *eight = malloc(8);
    uint64_t number = 1;

    if (eight == NULL)
        abort();
    memset(eight, after, 8);
    memcpy(eight, digits, count);
    memcpy(want, digits, count);
    CHECK(jrc_decimal_read8(eight, &number) == count);
    if (!CHECK(number == strtoull(want, NULL, 10)))
        printf("  %s: %" PRIu64 "\n", want, number);
    free(eight);
}

static void numbers_around_every_power(void)
{
    for (uint64_t power = 1;; power *= 10) {
        for (uint64_t d = 0; d < 12; d++) {
            check_writing(power + d);
            check_writing(power - d);
            check_writing(power * d);
        }
        if (power > UINT64_MAX / 10)
            return;
    }
}

/* Each of the divisions, which are done by multiplying, takes every remainder:
 * these are all numbers of four digits at either end of eight. */
static void all_fours(void)
{
    char digits[9];

    for (uint64_t n = 0; n < 10000; n++) {
        check_writing(n);
        check_writing(n * 10000 + 9999 - n);
        snprintf(digits, sizeof digits, "%04u%04u", (unsigned)n,
                 (unsigned)(9999 - n));
        check_reading(digits, 8, 'x');
        check_reading(digits, 4, ',');
    }
}

static void digits_end_at_any_other_byte(void)
{
    for (size_t count = 0; count < 8; count++)
        for (int byte = 0; byte < 256; byte++)
            if (byte < '0' || byte > '9')
                check_reading("98712345", count, (char)byte);
    check_reading("01234567", 8, 'x');
}

int main(void)
{
    numbers_around_every_power();
    all_fours();
    digits_end_at_any_other_byte();
    return check_done();
}
