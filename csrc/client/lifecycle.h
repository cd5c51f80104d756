/* A core from its creation to its end. */

#ifndef JRC_LIFECYCLE_H
#define JRC_LIFECYCLE_H

#include "client/core.h"

/* Takes complete options, of which tls is not used but the context made of it:
 * the core adds a reference to that; NULL: no TLS.  Likewise for the hello.
 * is_first: the sockets that servers names are ours; otherwise they belong to
 * the process that forked this one, and cannot be used.  Starts the event
 * thread.  Returns 0; or an errno, and then leaves neither a thread nor a
 * descriptor: EINVAL with why, ENOMEM, or what the system said when it refused
 * one. */
int jrc_core_new(const jsonrpcc_options *options, struct jrc_tls_context *tls,
                 struct jrc_hello *hello, bool is_first, struct jrc_core **core,
                 char *why, size_t why_size);

void jrc_core_unref(struct jrc_core *core);

/* Like jsonrpcc_client_close(). */
bool jrc_core_close(struct jrc_core *core, int32_t timeout_ms);

#endif
