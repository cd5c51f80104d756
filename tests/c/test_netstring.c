#include "check.h"
#include "wire/netstring.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INCOMPLETE JRC_FRAME_INCOMPLETE
#define BAD JRC_FRAME_BAD
#define TOO_BIG JRC_FRAME_TOO_BIG
#define IS_64_BIT (SIZE_MAX > UINT32_MAX)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* want is what decode returns for the whole; final is the length from which on
 * it does.  Every shorter prefix is incomplete. */
static const struct {
    const char *name, *in;
    size_t max;
    ssize_t want;
    const char *payload;
    size_t final;
} cases[] = {
    {"nothing", "", 100, INCOMPLETE, NULL, 0},
    {"empty payload", "0:,", 100, 3, "", 3},
    {"one byte", "1:a,", 100, 4, "a", 4},
    {"leaves what follows", "1:a,1:b,", 100, 4, "a", 4},
    {"leaves garbage that follows", "1:a,x", 100, 4, "a", 4},
    {"framing within the payload", "6:1:a,0:,", 100, 9, "1:a,0:", 9},
    {"two digits", "12:hello world!,", 100, 16, "hello world!", 16},
    {"as large as allowed", "5:hello,", 5, 8, "hello", 8},
    {"nothing allowed but nothing", "0:,", 0, 3, "", 3},

    {"half a header", "12", 100, INCOMPLETE, NULL, 0},
    {"a header", "12:", 100, INCOMPLETE, NULL, 0},
    {"half a payload", "12:hello", 100, INCOMPLETE, NULL, 0},
    {"no comma yet", "5:hello", 100, INCOMPLETE, NULL, 0},
    {"zero", "0", 100, INCOMPLETE, NULL, 0},
    {"zero and colon", "0:", 100, INCOMPLETE, NULL, 0},
    {"the largest", "2147483648:", 2147483648, INCOMPLETE, NULL, 0},

    {"no digit", ":", 100, BAD, NULL, 1},
    {"a letter", "a:b,", 100, BAD, NULL, 1},
    {"a sign", "+1:a,", 100, BAD, NULL, 1},
    {"negative", "-1:a,", 100, BAD, NULL, 1},
    {"space before", " 1:a,", 100, BAD, NULL, 1},
    {"space after the digits", "1 :a,", 100, BAD, NULL, 2},
    {"hexadecimal", "0x1:a,", 100, BAD, NULL, 2},
    {"comma for colon", "1,a,", 100, BAD, NULL, 2},
    {"newline for comma", "1:a\n", 100, BAD, NULL, 4},
    {"payload longer than said", "1:ab,", 100, BAD, NULL, 4},
    {"payload shorter than said", "3:a,1:b,", 100, BAD, NULL, 6},
    {"empty payload that is not", "0:a,", 100, BAD, NULL, 3},
    {"leading zero", "01:a,", 100, BAD, NULL, 2},
    {"zeros only", "00:,", 100, BAD, NULL, 2},
    {"a byte from 0x80 on", "1\xB2:a,", 100, BAD, NULL, 2},
    {"JSON without a frame", "{\"id\":1}", 100, BAD, NULL, 1},

    {"over the limit by one", "101:", 100, TOO_BIG, NULL, 3},
    {"over the limit, digits only", "101", 100, TOO_BIG, NULL, 3},
    {"over the limit at its first digit", "7:", 6, TOO_BIG, NULL, 1},
    {"too big goes before bad", "101x", 100, TOO_BIG, NULL, 3},
    {"over the largest by one", "2147483649:", 2147483648, TOO_BIG, NULL, 10},
    {"over 2^64", "18446744073709551616:", SIZE_MAX, TOO_BIG, NULL,
     IS_64_BIT ? 20 : 11},
    {"wraps to 1 modulo 2^64", "18446744073709551617:a,", 100, TOO_BIG, NULL,
     3},
    {"digits without end", "99999999999999999999999999999999999", SIZE_MAX,
     TOO_BIG, NULL, IS_64_BIT ? 20 : 10},
};

/* A copy of exactly its size, so that ASan sees over-reads. */
static char *copy(const char *in, size_t len)
{
    char *exact = malloc(len ? len : 1);

    if (!exact)
        abort();
    memcpy(exact, in, len);
    return exact;
}

static void check_case(size_t i, size_t len)
{
    char *in = copy(cases[i].in, len);
    const char *payload = cases[i].name;
    size_t payload_len = 12345;
    ssize_t want = len < cases[i].final ? INCOMPLETE : cases[i].want;
    ssize_t got =
        jrc_netstring_decode(in, len, cases[i].max, &payload, &payload_len);

    if (!CHECK(got == want))
        printf("  %s, first %zu bytes: %zd\n", cases[i].name, len, got);
    if (got > 0) {
        CHECK(payload_len == strlen(cases[i].payload));
        CHECK(payload >= in && payload + payload_len + 1 == in + got);
        CHECK(memcmp(payload, cases[i].payload, payload_len) == 0);
    } else {
        CHECK(payload == cases[i].name && payload_len == 12345);
    }
    free(in);
}

static void every_prefix_of_every_case(void)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t len = 0; len <= strlen(cases[i].in); len++)
            check_case(i, len);
}

/* Any single wrong byte in a header ends the stream, or makes another valid
 * header. */
static void every_byte_in_place_of_a_digit(void)
{
    for (int c = 0; c < 256; c++) {
        char in[] = {'1', (char)c, ':'};
        const char *payload;
        size_t n;
        ssize_t got = jrc_netstring_decode(in, sizeof in, 100, &payload, &n);
        bool header = c == ':' || (c >= '0' && c <= '9');
        CHECK(got == (header ? INCOMPLETE : BAD));
    }
}

static void need_is_known_with_the_header(void)
{
    static const struct {
        const char *in;
        size_t want;
    } needs[] = {
        {"", 0},
        {"1", 0},
        {"12", 0},
        {"12:", 16},
        {"12:hello", 16},
        {"0:", 3},
        {"0:,", 3},
        {"1:a,1:b,", 4},
        {"16777216:", 16777216 + 10},
        {"x", 0},
        {":", 0},
        {"01:", 0},
        {"12x", 0},
        {"18446744073709551615:", SIZE_MAX},
        {"18446744073709551594:", SIZE_MAX},
        {"18446744073709551616:", SIZE_MAX},
        {"99999999999999999999999999", SIZE_MAX},
    };

    for (size_t i = 0; i < COUNT(needs); i++) {
        size_t len = strlen(needs[i].in);
        char *in = copy(needs[i].in, len);
        if (!CHECK(jrc_netstring_need(in, len) == needs[i].want))
            printf("  %s\n", needs[i].in);
        free(in);
    }
}

static void check_header(size_t payload_len)
{
    char want[32];
    char *got = malloc(JRC_NETSTRING_HEADER_MAX);
    char *payload = got + JRC_NETSTRING_HEADER_MAX;
    size_t size = (size_t)snprintf(want, sizeof want, "%zu:", payload_len);

    if (!got)
        abort();
    CHECK(jrc_netstring_begin(payload, payload_len) == payload - size);
    CHECK(memcmp(payload - size, want, size) == 0);
    if (payload_len > SIZE_MAX - size - 1) {
        CHECK(jrc_netstring_frame_size(payload_len) == SIZE_MAX);
    } else {
        CHECK(jrc_netstring_frame_size(payload_len) == size + payload_len + 1);
        CHECK(jrc_netstring_need(want, size) == size + payload_len + 1);
    }
    free(got);
}

static void headers_of_all_lengths(void)
{
    for (size_t power = 1; power <= SIZE_MAX / 10; power *= 10) {
        check_header(power - 1);
        check_header(power);
        check_header(power + 1);
    }
    check_header((size_t)1 << 31);
    for (size_t below = 0; below < 25; below++)
        check_header(SIZE_MAX - below);
}

int main(void)
{
    every_prefix_of_every_case();
    every_byte_in_place_of_a_digit();
    need_is_known_with_the_header();
    headers_of_all_lengths();
    return check_done();
}
