/* What a server writes around the id and the result, which is usually the same
 * in all of its responses: compared with the last one, instead of read. */

#ifndef JRC_ENVELOPE_H
#define JRC_ENVELOPE_H

#include "wire/response.h"

#include <stdbool.h>
#include <stdint.h>

enum { JRC_ENVELOPE_PART = 48 };

/* All zero: nothing is known. */
struct jrc_envelope {
    uint8_t before, between, after; /* sizes; before is 0 if nothing is known */
    bool id_first;
    char text[3][JRC_ENVELOPE_PART]; /* before the first of id and result,
                                        between them, and after the second */
};

/* The same as jrc_response_read(), whatever the envelope is, but sooner if it
 * fits.  If it does not, the payload's replaces it. */
void jrc_envelope_read(struct jrc_envelope *envelope, const char *payload,
                       size_t len, unsigned max_depth,
                       struct jrc_response *response);

#endif
