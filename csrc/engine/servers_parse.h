/* The list of servers as users write it. */

#ifndef JRC_SERVERS_PARSE_H
#define JRC_SERVERS_PARSE_H

#include "engine/server_list.h"

/* Read a list of entries with spaces between them:
 *
 *   entry  = target ["," priority ["," weight]]    larger priorities first; 1
 *   target = host:port                       one server
 *          | dns:host:port | dns4:... | dns6:...   one for each address
 *          | srv:_service._proto.domain       one for each SRV record
 *          | unix:/path | unix-abstract:name       see wire/unix_path.h
 *
 * No entry may occur twice.  Returns 0, or an errno, and then nothing is
 * allocated.  With EINVAL, why[0..why_size) says what is wrong and at which
 * offset; ENOMEM leaves it alone. */
int jrc_servers_parse(struct jrc_server_list *list, const char *text, char *why,
                      size_t why_size);

#endif
