/* How a stream of bytes is cut into frames, each of which carries a payload.
 *
 * What a client uses is chosen once, by a pointer to one of these.  Functions
 * of bytes, no state. */
#ifndef JRC_FRAMING_H
#define JRC_FRAMING_H

#include <stddef.h>
#include <sys/types.h>

/* What decode returns when it does not return a size. */
enum {
    JRC_FRAME_INCOMPLETE = 0,
    JRC_FRAME_BAD = -1,
    JRC_FRAME_TOO_BIG = -2,
};

struct jrc_framing {
    /* Find the frame at the start of buf[0..len).
     *
     * Returns the bytes it occupies, framing included, and points *payload into
     * buf (borrowed: valid as long as buf is).  Returns INCOMPLETE when every
     * byte so far could still begin a valid frame: call again with more.  BAD
     * and TOO_BIG are final, the stream cannot be resynchronised.  *payload and
     * *payload_len are left alone unless a frame was found.
     *
     * TOO_BIG is reported as soon as it is known, so a peer cannot make us
     * buffer more than max_payload bytes. */
    ssize_t (*decode)(const char *buf, size_t len, size_t max_payload,
                      const char **payload, size_t *payload_len);

    /* How many bytes the frame at the start of buf[0..len) will occupy, once
     * that is announced; 0 before that, or if the frame is bad.  For sizing the
     * receive buffer after decode said INCOMPLETE, and so only announced:
     * reserve as bytes arrive.  SIZE_MAX stands for all that is too large. */
    size_t (*need)(const char *buf, size_t len);

    /* Size of the frame around payload_len bytes; SIZE_MAX if it has none. */
    size_t (*frame_size)(size_t payload_len);

    /* Write what stands before a payload so that it ends where the payload
     * begins; returns where the frame begins.  So the frame is written from its
     * end on, and nobody has to know twice how long a number is. */
    char *(*begin)(char *payload, size_t payload_len);

    /* What stands behind a payload: one byte, or none. */
    size_t tail_size;
    char tail;
};

#endif
