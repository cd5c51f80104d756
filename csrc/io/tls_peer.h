/* What is remembered of the server that a connection goes to, from one attempt
 * to the next: how TLS was agreed on, why it was not, and one session to resume
 * (each is used once, so that connections cannot be linked by it). */

#ifndef JRC_TLS_PEER_H
#define JRC_TLS_PEER_H

#include "jsonrpcc.h"

struct ssl_st;
struct ssl_session_st;

struct jrc_tls_peer {
    char *host;       /* that the session is for */
    unsigned version; /* of the context that the session was made with */
    struct ssl_session_st *session;
    jsonrpcc_server_tls_info info;
};

/* Before a handshake with that host: have it resume the session, if it was
 * made for the same host and by the same rules.  For another host everything is
 * forgotten.  False: out of memory. */
bool jrc_tls_peer_prepare(struct jrc_tls_peer *peer, struct ssl_st *ssl,
                          const char *host, unsigned version);

/* Keep a session for the next time; it is ours from now on. */
void jrc_tls_peer_keep(struct jrc_tls_peer *peer,
                       struct ssl_session_st *session);

/* After a handshake that worked. */
void jrc_tls_peer_note(struct jrc_tls_peer *peer, struct ssl_st *ssl);

/* Release what is remembered; NULL is ignored. */
void jrc_tls_peer_free(struct jrc_tls_peer *peer);

#endif
