/* Attempts to connect: from a server's name or address to a connection, and the
 * end of both. */

#ifndef JRC_ATTEMPT_H
#define JRC_ATTEMPT_H

#include "io/socket.h"

/* Begin an attempt to connect; move on to its next endpoint; or end the attempt
 * and the connection. */
void jrc_socket_attempt(struct jrc_socket *s, uint64_t now_us);
void jrc_socket_try_next(struct jrc_socket *s, int32_t reason);
void jrc_socket_shut(struct jrc_socket *s);

/* Its descriptor is ready while it is connecting.  Returns whether it has just
 * connected, and then there may be input already. */
bool jrc_socket_go_on(struct jrc_socket *s);

/* The connection, or the whole attempt, is over: report it to the engine. */
void jrc_socket_lost(struct jrc_socket *s, int32_t reason);

/* Take the resolver's answers. */
void jrc_sockets_take_answers(struct jrc_sockets *sockets);

#endif
