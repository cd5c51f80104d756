/* The server's end of a TLS connection, driven by the test: it moves no byte
 * that the test has not asked for. */

#ifndef TLS_END_H
#define TLS_END_H

#include "certificates.h"

#include <stddef.h>

enum { TLS_END_ROOM = 1 << 17 };

struct tls_end {
    int fd; /* -1: closed */
    SSL *ssl;
    bool established;
    bool ended;         /* by the peer's close_notify */
    unsigned records;   /* of data, from the peer */
    unsigned greetings; /* ClientHellos: one for each handshake */
    unsigned resumed;
    int error;          /* an SSL_R_ code; 0: none */
    size_t may_receive; /* from the socket */
    size_t may_send;
    size_t got, sent; /* bytes of TLS */
    size_t len;       /* plaintext received */
    char *text;
};

/* A server's context that presents this identity; TLS 1.3 unless version is
 * TLS1_2_VERSION. */
SSL_CTX *tls_end_context(const struct identity *identity, int version);

/* Take over the descriptor. */
void tls_end_start(struct tls_end *end, SSL_CTX *context, int fd);

/* Receive, shake hands, decrypt and send, as far as possible now. */
void tls_end_pump(struct tls_end *end);

/* Encrypt, for the next pump. */
void tls_end_write(struct tls_end *end, const char *text, size_t len);

/* Close the socket without a close_notify; free everything. */
void tls_end_cut(struct tls_end *end);
void tls_end_stop(struct tls_end *end);

#endif
