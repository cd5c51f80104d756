/* Unix sockets: as TCP, but an attempt is decided at once, and the kernel knows
 * when the peer is gone. */

#ifndef JRC_TRANSPORT_UNIX_H
#define JRC_TRANSPORT_UNIX_H

#include "io/transport.h"

extern const struct jrc_transport jrc_unix;

#endif
