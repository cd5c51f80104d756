/* The TLS end of a peer, in a thread of the test program: what it decrypts it
 * passes on to a port of 127.0.0.1, and back.  So the peer is a witness of what
 * has really arrived. */

#ifndef TLS_FRONT_H
#define TLS_FRONT_H

#include "certificates.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { TLS_FRONT_LINKS = 64 };

struct tls_front_link {
    int client, server; /* -1: none */
    SSL *ssl;
    bool counted; /* as established */
};

struct tls_front {
    uint16_t port, to;
    int listener, stop_fd;
    SSL_CTX *context;
    pthread_t thread;
    void (*exempt)(bool);
    struct tls_front_link links[TLS_FRONT_LINKS];
    /* Of its links: those that are there, and those that ended with
     * close_notify, or with what is not TLS; handshakes, and the resumed. */
    atomic_uint open, goodbyes, broken, established, resumed;
};

/* In front of that port, with that identity.  exempt as for peer_start(). */
void tls_front_start(struct tls_front *front, uint16_t to,
                     const struct identity *identity, void (*exempt)(bool));
void tls_front_stop(struct tls_front *front);

#endif
