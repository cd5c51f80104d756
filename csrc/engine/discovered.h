/* The servers that the entries of a list stand for. */

#ifndef JRC_DISCOVERED_H
#define JRC_DISCOVERED_H

#include "engine/discovery.h"

/* Those that the entries stand for now, each once, as a list of its own.
 * *left_out: those for which there is no room.  False: out of memory. */
bool jrc_discovery_list(const struct jrc_discovery *discovery,
                        struct jrc_server_list *list, size_t *left_out);

#endif
