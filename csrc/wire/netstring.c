#include "wire/netstring.h"

#include "wire/decimal.h"

#include <stdbool.h>
#include <stdint.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The size of the header at the start of buf, or an error as decode has it. */
static ssize_t read_header(const char *buf, size_t len, size_t max_payload,
                           size_t *payload_len)
{
    size_t size = 0;
    size_t i = 0;

    /* Only "0:," may begin with a zero: djb's grammar forbids padding. */
    if (len > 1 && buf[0] == '0' && is_digit(buf[1]))
        return JRC_NETSTRING_BAD;
    for (; i < len && is_digit(buf[i]); i++) {
        if (__builtin_mul_overflow(size, 10, &size) ||
            __builtin_add_overflow(size, (size_t)(buf[i] - '0'), &size) ||
            size > max_payload)
            return JRC_NETSTRING_TOO_BIG;
    }
    if (i == len)
        return JRC_NETSTRING_INCOMPLETE;
    if (i == 0 || buf[i] != ':')
        return JRC_NETSTRING_BAD;

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
    if (len - i <= size) /* the comma must be there too */
        return JRC_NETSTRING_INCOMPLETE;
    if (buf[i + size] != ',')
        return JRC_NETSTRING_BAD;

    *payload = buf + i;
    *payload_len = size;
    return (ssize_t)(i + size + 1);
}

size_t jrc_netstring_need(const char *buf, size_t len)
{
    size_t size = 0;
    ssize_t header = read_header(buf, len, SIZE_MAX, &size);

    if (header == JRC_NETSTRING_TOO_BIG)
        return SIZE_MAX;
    return header > 0 ? jrc_netstring_frame_size(size) : 0;
}

size_t jrc_netstring_header(char *out, size_t payload_len)
{
    size_t digits = jrc_decimal_size(payload_len);

    jrc_decimal_before(out + digits, payload_len);
    out[digits] = ':';
    return digits + 1;
}

size_t jrc_netstring_frame_size(size_t payload_len)
{
    size_t framing = jrc_decimal_size(payload_len) + 2; /* colon and comma */

    return payload_len > SIZE_MAX - framing ? SIZE_MAX : payload_len + framing;
}
