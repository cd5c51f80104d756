/* Netstring framing: "<length>:<payload>,".  The contracts are in framing.h. */
#ifndef JRC_NETSTRING_H
#define JRC_NETSTRING_H

#include "wire/framing.h"

extern const struct jrc_framing jrc_netstrings;

/* The digits of the largest size_t and a colon. */
#define JRC_NETSTRING_HEADER_MAX 21

/* TOO_BIG is reported at the digit that exceeds max_payload. */
ssize_t jrc_netstring_decode(const char *buf, size_t len, size_t max_payload,
                             const char **payload, size_t *payload_len);

size_t jrc_netstring_need(const char *buf, size_t len);

size_t jrc_netstring_frame_size(size_t payload_len);

/* Writes "<payload_len>:" without NUL, at most JRC_NETSTRING_HEADER_MAX
 * bytes. */
char *jrc_netstring_begin(char *payload, size_t payload_len);

#endif
