/* Netstring framing: "<length>:<payload>,".  Functions of bytes, no state. */
#ifndef JRC_NETSTRING_H
#define JRC_NETSTRING_H

#include <stddef.h>
#include <sys/types.h>

/* What jrc_netstring_decode() returns when it does not return a size. */
enum {
    JRC_NETSTRING_INCOMPLETE = 0,
    JRC_NETSTRING_BAD = -1,
    JRC_NETSTRING_TOO_BIG = -2,
};

/* The digits of the largest size_t and a colon. */
#define JRC_NETSTRING_HEADER_MAX 21

/* Find the netstring at the start of buf[0..len).
 *
 * Returns the bytes it occupies, framing included, and points *payload into
 * buf (borrowed: valid as long as buf is).  Returns INCOMPLETE when every byte
 * so far could still begin a valid netstring: call again with more.  BAD and
 * TOO_BIG are final, the stream can not be resynchronised.  *payload and
 * *payload_len are left alone unless a netstring was found.
 *
 * TOO_BIG is reported at the digit that exceeds max_payload, so a peer can not
 * make us buffer more than max_payload bytes. */
ssize_t jrc_netstring_decode(const char *buf, size_t len, size_t max_payload,
                             const char **payload, size_t *payload_len);

/* How many bytes the netstring at the start of buf[0..len) will occupy, once
 * its header is there; 0 before that, or if the header is bad.  For sizing the
 * receive buffer after decode said INCOMPLETE, and so only announced: reserve
 * as bytes arrive.  SIZE_MAX stands for everything too large for a size_t. */
size_t jrc_netstring_need(const char *buf, size_t len);

/* Write "<payload_len>:", no NUL, into out[0..JRC_NETSTRING_HEADER_MAX) and
 * return its size. */
size_t jrc_netstring_header(char *out, size_t payload_len);

/* Size of the netstring around payload_len bytes; SIZE_MAX if it has none. */
size_t jrc_netstring_frame_size(size_t payload_len);

#endif
