/* The receive side of a connection: bytes in, payloads out.
 *
 * Bytes arrive in a buffer that all connections share; only the beginning of an
 * unfinished frame moves to the connection's own buffer.  So idle connections
 * cost nothing, and memory is at most twice the bytes received, whatever length
 * was announced. */

#ifndef JRC_INBOX_H
#define JRC_INBOX_H

#include "wire/framing.h"

#include <stddef.h>

/* All zero: an empty input. */
struct jrc_input {
    char *bytes; /* unread: bytes[start..end) */
    size_t start, end, room;
};

/* The buffer that all inputs of an engine share.  bytes[start..end) has been
 * received but not read; that is empty between receptions. */
struct jrc_shared_input {
    const struct jrc_framing *framing;
    char *bytes;
    size_t start, end, room;
    size_t prefix; /* left over from before; the next bytes follow it */
};

/* Where to receive the next bytes; sets *room to the size.  NULL: out of
 * memory. */
char *jrc_input_space(struct jrc_input *input, struct jrc_shared_input *shared,
                      size_t max_payload, size_t *room);

/* Report that n bytes were received there. */
void jrc_input_received(struct jrc_input *input,
                        struct jrc_shared_input *shared, size_t n);

/* The next payload, borrowed until the next call.  Returns 1, or 0 if there is
 * none, JRC_FRAME_BAD or JRC_FRAME_TOO_BIG. */
int jrc_input_next(struct jrc_input *input, struct jrc_shared_input *shared,
                   size_t max_payload, const char **payload, size_t *len);

/* Keep what is left for later, after next() returned 0. -1: out of memory. */
int jrc_input_keep(struct jrc_input *input, struct jrc_shared_input *shared,
                   size_t max_payload);

void jrc_input_clear(struct jrc_input *input);

#endif
