/* TLS over TCP, by OpenSSL.
 *
 * Invariants.  A record is authenticated as a whole: what it contains is
 * committed when its last byte is the kernel's, and not before.  Once made, it
 * is sent completely or the connection ends, so at most one is made ahead of
 * the socket.  Nothing is ever sent as early data, which the network could
 * repeat. Only close_notify ends a connection in good order, and the end of TCP
 * does not; but since frames have lengths, it makes no difference to the calls.
 */

#ifndef JRC_TRANSPORT_TLS_H
#define JRC_TRANSPORT_TLS_H

#include "io/tls_context.h"
#include "io/transport.h"
#include "jsonrpcc.h"

/* The transport of one core.  NULL: out of memory.  It keeps the context. */
struct jrc_tls;

#ifdef JRC_TLS

struct jrc_tls *jrc_tls_new(struct jrc_tls_context *context);

/* None of its streams may exist any more; NULL is ignored. */
void jrc_tls_free(struct jrc_tls *tls);

const struct jrc_transport *jrc_tls_transport(const struct jrc_tls *tls);

/* What is known of the server that a connection goes to, see jrc_stream.  Any
 * thread. */
void jrc_tls_describe(struct jrc_tls *tls, uint32_t conn,
                      jsonrpcc_server_tls_info *info);

#else

static inline struct jrc_tls *jrc_tls_new(struct jrc_tls_context *context)
{
    (void)context;
    return NULL;
}

static inline void jrc_tls_free(struct jrc_tls *tls)
{
    (void)tls;
}

static inline const struct jrc_transport *jrc_tls_transport(
    const struct jrc_tls *tls)
{
    (void)tls;
    return NULL;
}

static inline void jrc_tls_describe(struct jrc_tls *tls, uint32_t conn,
                                    jsonrpcc_server_tls_info *info)
{
    (void)tls;
    (void)conn;
    (void)info;
}

#endif
#endif
