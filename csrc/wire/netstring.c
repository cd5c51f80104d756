#include "wire/netstring.h"

#include "wire/decimal.h"

#include <stdbool.h>
#include <stdint.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The size of the header at the start of buf, or an error like decode's. */
static inline __attribute__((always_inline)) ssize_t read_header(
    const char *buf, size_t len, size_t max_payload, size_t *payload_len)
{
    size_t size = 0;
    size_t i = 0;

    /* Only "0:," may begin with a zero: djb's grammar forbids padding. */
    if (len > 1 && buf[0] == '0' && is_digit(buf[1]))
        return JRC_FRAME_BAD;
    for (; i < len; i++) {
        size_t digit = (unsigned char)buf[i] - (size_t)'0';
        if (digit > 9)
            break;
        if (size > (SIZE_MAX - 9) / 10) /* no frame can be that large */
            return JRC_FRAME_TOO_BIG;
        size = size * 10 + digit;
        if (size > max_payload)
            return JRC_FRAME_TOO_BIG;
    }
    if (i == len)
        return JRC_FRAME_INCOMPLETE;
    if (i == 0 || buf[i] != ':')
        return JRC_FRAME_BAD;

    *payload_len = size;
    return (ssize_t)(i + 1);
}

ssize_t jrc_netstring_decode(const char *buf, size_t len, size_t max_payload,
                             const char **payload, size_t *payload_len)
{
    size_t size = 0;
    ssize_t header = read_header(buf, len, max_payload, &size);

    if (header <= 0)
        return header;

    size_t i = (size_t)header;
    if (len - i <= size) /* the comma must be there, too */
        return JRC_FRAME_INCOMPLETE;
    if (buf[i + size] != ',')
        return JRC_FRAME_BAD;

    *payload = buf + i;
    *payload_len = size;
    return (ssize_t)(i + size + 1);
}

size_t jrc_netstring_need(const char *buf, size_t len)
{
    size_t size = 0;
    ssize_t header = read_header(buf, len, SIZE_MAX, &size);

    if (header == JRC_FRAME_TOO_BIG)
        return SIZE_MAX;
    return header > 0 ? jrc_netstring_frame_size(size) : 0;
}

size_t jrc_netstring_frame_size(size_t payload_len)
{
    size_t framing = jrc_decimal_size(payload_len) + 2; /* colon and comma */

    return payload_len > SIZE_MAX - framing ? SIZE_MAX : payload_len + framing;
}

char *jrc_netstring_begin(char *payload, size_t payload_len)
{
    *--payload = ':';
    return jrc_decimal_before(payload, payload_len);
}

const struct jrc_framing jrc_netstrings = {
    .decode = jrc_netstring_decode,
    .need = jrc_netstring_need,
    .frame_size = jrc_netstring_frame_size,
    .begin = jrc_netstring_begin,
    .tail_size = 1,
    .tail = ',',
};
