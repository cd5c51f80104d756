/* A socket that was connected by somebody else, see io/given.h. */

#ifndef JRC_TRANSPORT_GIVEN_H
#define JRC_TRANSPORT_GIVEN_H

#include "io/transport.h"

extern const struct jrc_transport jrc_given_transport;

#endif
