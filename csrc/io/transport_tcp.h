/* TCP: the kernel does everything. */

#ifndef JRC_TRANSPORT_TCP_H
#define JRC_TRANSPORT_TCP_H

#include "io/transport.h"

extern const struct jrc_transport jrc_tcp;

#endif
