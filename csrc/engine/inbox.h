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

/* All zero is an empty input. */
struct jrc_input {
    char *bytes; /* unread: bytes[start..end) */
    size_t start, end, room;
};

/* The buffer shared by the inputs of one engine, and what was received in it
 * and not read yet: bytes[start..end).  Between receptions it is empty. */
struct jrc_shared_input {
    const struct jrc_framing *framing;
    char *bytes;
    size_t start, end, room;
    size_t prefix; /* left over from before; the next bytes follow it */
};

/* Where the next bytes are to be received; *room gets the size.  NULL: out of
 * memory. */
char *jrc_input_space(struct jrc_input *input, struct jrc_shared_input *shared,
                      size_t max_payload, size_t *room);

/* Say that n bytes were received there. */
void jrc_input_received(struct jrc_input *input,
                        struct jrc_shared_input *shared, size_t n);

/* The next payload, borrowed until the next call.  Returns 1, or 0 when there
 * is none, JRC_FRAME_BAD or JRC_FRAME_TOO_BIG. */
int jrc_input_next(struct jrc_input *input, struct jrc_shared_input *shared,
                   size_t max_payload, const char **payload, size_t *len);

/* Keep what is left for later, after next() gave 0.  -1: out of memory. */
int jrc_input_keep(struct jrc_input *input, struct jrc_shared_input *shared,
                   size_t max_payload);

void jrc_input_clear(struct jrc_input *input);

#endif
