/* The list of servers as users write it. */

#ifndef JRC_SERVERS_PARSE_H
#define JRC_SERVERS_PARSE_H

#include "engine/servers.h"

/* Read "host1:port1,priority1 [::1]:port2,priority2".  The priority may be
 * left out (1); no host and port may occur twice.  Returns 0, or an errno, and
 * then nothing is allocated: ENOMEM, or EINVAL, and then why[0..why_size) says
 * what is wrong and at which offset. */
int jrc_servers_parse(struct jrc_servers *servers, const char *text, char *why,
                      size_t why_size);

#endif
