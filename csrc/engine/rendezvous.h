/* Rendezvous hashing: a client chooses some of many servers by ranks that
 * depend on it and on the server alone, so a server that comes or goes changes
 * nothing about the others. */

#ifndef JRC_RENDEZVOUS_H
#define JRC_RENDEZVOUS_H

#include "engine/server_list.h"

/* The rank of the server for the client with that seed; the largest ones are
 * chosen. */
uint64_t jrc_rendezvous(uint64_t seed, const struct jrc_entry *server);

#endif
