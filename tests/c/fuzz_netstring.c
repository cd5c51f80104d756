/* Whatever the bytes, and wherever the stream is cut, the frames found are
 * those that a naive reading of the whole stream finds. */
#include "wire/netstring.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "\x20"
    "0:,1:a,12:hello world!,",
    "\x40"
    "16:{\"jsonrpc\":\"2.0\"},3:abc,",
    "\x10"
    "5:1:a,,,5:hello,99:",
    "\x05"
    "4:true,01:a,",
    "\xFF"
    "18446744073709551616:,",
    NULL,
};

/* Chance hardly finds a length that fits: after every other mutation, lengths
 * are made to fit, as far as there are colons and commas. */
size_t fuzz_repair(uint8_t *data, size_t len, size_t most);
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t most)
    __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t most,
                               unsigned seed);

size_t fuzz_repair(uint8_t *data, size_t len, size_t most)
{
    size_t at = 1; /* the first byte is the limit */

    while (at < len) {
        uint8_t *colon = memchr(data + at, ':', len - at);
        uint8_t *end = data + len;
        uint8_t *comma =
            colon == NULL ? NULL : memchr(colon, ',', (size_t)(end - colon));
        if (comma == NULL)
            break;
        char digits[24];
        size_t old = (size_t)(colon - data) - at;
        size_t size = (size_t)(comma - colon) - 1;
        size_t now = (size_t)sprintf(digits, "%zu", size);
        if (len - old + now > most)
            break;
        memmove(data + at + now, colon, (size_t)(end - colon));
        memcpy(data + at, digits, now);
        len = len - old + now;
        at += now + size + 2;
    }
    return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t most,
                               unsigned seed)
{
    len = LLVMFuzzerMutate(data, len, most);
    return seed % 2 == 0 ? len : fuzz_repair(data, len, most);
}

static void require(int condition)
{
    if (!condition)
        abort();
}

/* One frame, read just as the grammar is written, however slowly. */
static ssize_t reference(const char *in, size_t len, size_t max, size_t *size)
{
    size_t digits = 0;

    *size = 0;
    while (digits < len && strchr("0123456789", in[digits]) && in[digits]) {
        *size = *size * 10 + (size_t)(in[digits++] - '0');
        if (digits == 2 && in[0] == '0')
            return JRC_FRAME_BAD;
        if (*size > max)
            return JRC_FRAME_TOO_BIG;
    }
    if (digits == len)
        return JRC_FRAME_INCOMPLETE;
    if (digits == 0 || in[digits] != ':')
        return JRC_FRAME_BAD;
    if (digits + 1 + *size >= len)
        return JRC_FRAME_INCOMPLETE;
    if (in[digits + 1 + *size] != ',')
        return JRC_FRAME_BAD;
    return (ssize_t)(digits + *size + 2);
}

/* What decode and need say about the len bytes received so far. */
static ssize_t check_decode(const char *in, size_t len, size_t max)
{
    const char *payload = NULL;
    size_t size = 0, want_size = 0;
    size_t need = jrc_netstring_need(in, len);
    ssize_t used = jrc_netstring_decode(in, len, max, &payload, &size);

    require(used == reference(in, len, max, &want_size));
    if (used > 0) {
        require(size == want_size && size <= max);
        require(payload + size + 1 == in + used && payload > in);
        require(need == (size_t)used);
        require(jrc_netstring_frame_size(size) == need);
    } else {
        require(payload == NULL);
        require(used != JRC_FRAME_INCOMPLETE || need == 0 || need > len);
    }
    return used;
}

/* The stream arrives in pieces, whose sizes are derived from the bytes
 * themselves. */
static void read_in_pieces(const char *in, size_t len, size_t max, size_t step)
{
    size_t begin = 0, came = 0;
    ssize_t used = JRC_FRAME_INCOMPLETE;

    while (came < len && used >= 0) {
        came += 1 + ((unsigned char)in[came] + step) % 7 * step;
        if (came > len)
            came = len;
        while ((used = check_decode(in + begin, came - begin, max)) > 0)
            begin += (size_t)used;
    }

    size_t whole = 0, size = 0;
    ssize_t last;
    while ((last = reference(in + whole, len - whole, max, &size)) > 0)
        whole += (size_t)last;
    require(whole == begin && (last == used || len == 0));
}

static void round_trip(const char *payload, size_t len)
{
    size_t size = jrc_netstring_frame_size(len);
    char *frame = malloc(size);

    require(frame != NULL);
    memcpy(frame + size - 1 - len, payload, len);
    require(jrc_netstring_begin(frame + size - 1 - len, len) == frame);
    frame[size - 1] = ',';
    require(check_decode(frame, size, len) == (ssize_t)size);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *in = (const char *)data;

    if (len == 0)
        return 0;
    for (size_t step = 0; step < 4; step++)
        read_in_pieces(in + 1, len - 1, data[0], step);
    round_trip(in, len);
    return 0;
}
