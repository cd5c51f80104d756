/* What names stand for, asked of the system.  These may hang for minutes. */

#ifndef JRC_LOOKUP_H
#define JRC_LOOKUP_H

#include "engine/answer.h"
#include "engine/server_list.h"

/* Look up a name of a kind that is no server.  A reason in the answer is one of
 * jsonrpcc_reason, or an errno. */
void jrc_lookup(enum jrc_entry_kind kind, const char *host, uint16_t port,
                struct jrc_answer *answer);

#endif
