/* One TLS connection as OpenSSL sees it, from its making to why it failed.  All
 * functions are called under the lock of the context. */

#ifndef JRC_TLS_CHANNEL_H
#define JRC_TLS_CHANNEL_H

#include "io/tls_buffers.h"
#include "io/tls_context.h"
#include "io/tls_peer.h"

#include <stdbool.h>
#include <stdint.h>

struct jrc_tls_channel {
    struct jrc_tls_context *context;
    struct jrc_tls_peer *peer;
    struct ssl_st *ssl;
    bool connected;    /* by TCP */
    bool established;  /* by TLS */
    bool broken;       /* nothing but what is in out may be sent */
    bool explained;    /* peer->info.why says why */
    bool has_answered; /* some data came */
    int32_t reason;    /* why it is broken */
    unsigned extras;   /* tickets and the like that the peer may still send */
    size_t plain;      /* bytes of plaintext in the record that is leaving */
    size_t record_end; /* where it ends, in out */
    struct jrc_tls_buffers buffers;
};

/* For a connection to that host, with what is remembered of its peer; borrows
 * both.  NULL: out of memory. */
struct jrc_tls_channel *jrc_tls_channel_new(struct jrc_tls_context *context,
                                            struct jrc_tls_peer *peer,
                                            const char *host);

/* Says nothing to the peer. */
void jrc_tls_channel_free(struct jrc_tls_channel *channel);

/* Mark it as broken for that reason, and return the reason.  If it is one of
 * TLS's, the peer's info says it in words until a handshake succeeds. */
int32_t jrc_tls_channel_fail(struct jrc_tls_channel *channel, int32_t reason);

/* The same for what OpenSSL has just failed with. */
int32_t jrc_tls_channel_fail_now(struct jrc_tls_channel *channel);

/* Data has come: whoever sends data may send more tickets and key updates. */
void jrc_tls_channel_allow(struct jrc_tls_channel *channel);

#endif
