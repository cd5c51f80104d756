/* What transports share whose bytes are the kernel's as soon as it has taken
 * them, with no protocol of their own: each function is one of struct
 * jrc_transport, see there. */

#ifndef JRC_TRANSPORT_PLAIN_H
#define JRC_TRANSPORT_PLAIN_H

#include "io/transport.h"

/* There is none: the attempt is decided. */
int32_t jrc_plain_handshake(struct jrc_stream *stream, short *want);

ssize_t jrc_plain_recv(struct jrc_stream *stream, char *buf, size_t size,
                       int32_t *reason);
ssize_t jrc_plain_send(struct jrc_stream *stream, const char *buf, size_t len,
                       int32_t *reason);

/* has_input and has_output: the descriptor shows everything. */
bool jrc_plain_has_nothing(const struct jrc_stream *stream);
size_t jrc_plain_begun(const struct jrc_stream *stream);
void jrc_plain_close(struct jrc_stream *stream);

#endif
