#include "io/tls_peer.h"

#ifdef JRC_TLS

#include "io/tls_certificate.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

static void forget_session(struct jrc_tls_peer *peer)
{
    SSL_SESSION_free(peer->session);
    peer->session = NULL;
}

bool jrc_tls_peer_prepare(struct jrc_tls_peer *peer, SSL *ssl, const char *host,
                          unsigned version)
{
    bool good = true;

    if (peer->host == NULL || strcmp(peer->host, host) != 0) {
        forget_session(peer);
        free(peer->host);
        peer->host = strdup(host);
        memset(&peer->info, 0, sizeof peer->info);
    }
    if (peer->version != version)
        forget_session(peer);
    peer->version = version;
    if (peer->session != NULL)
        good = SSL_set_session(ssl, peer->session) == 1;
    forget_session(peer);
    return good && peer->host != NULL;
}

void jrc_tls_peer_keep(struct jrc_tls_peer *peer, SSL_SESSION *session)
{
    forget_session(peer);
    peer->session = session;
}

void jrc_tls_peer_note(struct jrc_tls_peer *peer, SSL *ssl)
{
    peer->info.version = SSL_get_version(ssl);
    peer->info.cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
    peer->info.resumed = SSL_session_reused(ssl) == 1;
    peer->info.expires_s = jrc_chain_expires_s(SSL_get_peer_cert_chain(ssl), 0);
    peer->info.why[0] = '\0';
}

void jrc_tls_peer_free(struct jrc_tls_peer *peer)
{
    if (peer == NULL)
        return;
    forget_session(peer);
    free(peer->host);
    free(peer);
}

#endif
