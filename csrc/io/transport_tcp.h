/* TCP: the kernel does everything. */

#ifndef JRC_TRANSPORT_TCP_H
#define JRC_TRANSPORT_TCP_H

#include "io/transport.h"

extern const struct jrc_transport jrc_tcp;

/* Set a connection's options. */
void jrc_tcp_tune(int fd);

#endif
