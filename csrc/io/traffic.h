/* The bytes of connections that are established: between sockets and engine. */

#ifndef JRC_TRAFFIC_H
#define JRC_TRAFFIC_H

#include "io/socket.h"

/* For libevent, as on_ready of the sockets: something can be done with the
 * socket in arg.  Continues an attempt, too. */
void jrc_socket_ready(evutil_socket_t fd, short what, void *arg);

/* Send once what the engine has for it. */
void jrc_socket_flush(struct jrc_socket *s, uint64_t now_us);

/* Tell the engine how much of it the peer has not taken. */
void jrc_socket_measure(struct jrc_socket *s, uint64_t now_us);

/* Receive where data is likely.  False: there was none, or it is time to poll
 * all sockets. */
bool jrc_sockets_look(struct jrc_sockets *sockets);

/* Start or stop reading from all of them. */
void jrc_sockets_set_reading(struct jrc_sockets *sockets, bool reading);

#endif
