/* The list of servers as users write it. */

#ifndef JRC_SERVERS_PARSE_H
#define JRC_SERVERS_PARSE_H

#include "engine/servers.h"

/* Read "host1:port1,priority1 [::1]:port2,priority2 unix:/path,priority3".  The
 * priority may be left out (1); no server may occur twice.  Returns 0, or an
 * errno, and then nothing is allocated.  With EINVAL, why[0..why_size) says
 * what is wrong and at which offset; ENOMEM leaves it alone. */
int jrc_servers_parse(struct jrc_servers *servers, const char *text, char *why,
                      size_t why_size);

#endif
