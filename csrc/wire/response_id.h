/* The id of a response, as we have written it into the request. */

#ifndef JRC_RESPONSE_ID_H
#define JRC_RESPONSE_ID_H

#include "wire/decimal.h"

/* The place after the positive number of at most 16 digits at p, or NULL: an id
 * as we write it, without leading zeros and no longer than 2^53. */
static inline const char *jrc_response_id(const char *p, const char *end,
                                          uint64_t *id)
{
    const char *most = end - p > 16 ? p + 16 : end;
    uint64_t n = 0;

    if (p == end || *p == '0')
        return NULL;
    if (end - p >= 8) {
        unsigned count = jrc_decimal_read8(p, &n);
        p += count;
        most = count < 8 ? p : most;
    }
    for (; p < most && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    *id = n;
    return n > 0 ? p : NULL;
}

#endif
