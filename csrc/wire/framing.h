/* How a stream of bytes is cut into frames, each of which carries a payload.
 *
 * A client chooses its framing once, by a pointer to one of these.  The
 * functions work on bytes and keep no state. */
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
     * buf (borrowed: valid as long as buf is).  Returns INCOMPLETE if the bytes
     * so far could still begin a valid frame: call again with more.  BAD and
     * TOO_BIG are final; the stream cannot be resynchronised.  *payload and
     * *payload_len are set only if a frame was found.
     *
     * TOO_BIG is reported as soon as it is known, so a peer cannot make us
     * buffer more than max_payload bytes. */
    ssize_t (*decode)(const char *buf, size_t len, size_t max_payload,
                      const char **payload, size_t *payload_len);

    /* How many bytes the frame at the start of buf[0..len) will occupy, once
     * that is announced; 0 before that, or if the frame is bad.  For sizing the
     * receive buffer after decode returned INCOMPLETE.  The size is only
     * announced, so reserve memory as bytes arrive.  SIZE_MAX stands for any
     * size that is too large. */
    size_t (*need)(const char *buf, size_t len);

    /* Size of the frame around payload_len bytes; SIZE_MAX if it has none. */
    size_t (*frame_size)(size_t payload_len);

    /* Write what precedes a payload, so that it ends where the payload begins.
     * Returns where the frame begins.  Frames are written backwards, so that
     * the number of digits need not be known in advance. */
    char *(*begin)(char *payload, size_t payload_len);

    /* What follows a payload: one byte, or none. */
    size_t tail_size;
    char tail;
};

#endif
