/* The bytes of one connection of the server: plain, or TLS if BENCH_TLS says
 * so. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifdef BENCH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef struct ssl_st SSL;
#endif

struct stream {
    int fd;
    SSL *ssl;     /* NULL: plain */
    bool drained; /* by TLS: there is nothing more to be read */
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

#ifdef BENCH_TLS
static SSL_CTX *tls;

static void use_tls(const char *pem)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, pem, SSL_FILETYPE_PEM) != 1)
        die(pem);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1);
    signal(SIGPIPE, SIG_IGN);
}

static void start_tls(struct stream *stream)
{
    if (!tls)
        return;
    stream->ssl = SSL_new(tls);
    if (!stream->ssl || SSL_set_fd(stream->ssl, stream->fd) != 1)
        die("SSL_new");
    SSL_set_accept_state(stream->ssl);
}

static void stop_tls(struct stream *stream)
{
    SSL_free(stream->ssl);
}

static bool has_more(const struct stream *stream)
{
    return stream->ssl && !stream->drained;
}

/* What a system call would have returned; errno is set. */
static ssize_t result_of(const struct stream *stream, int done, size_t n)
{
    if (done == 1)
        return (ssize_t)n;
    int error = SSL_get_error(stream->ssl, done);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
                ? EAGAIN
                : ECONNRESET;
    return -1;
}

static ssize_t take(struct stream *stream, char *data, size_t size)
{
    size_t n = 0;

    if (!stream->ssl)
        return recv(stream->fd, data, size, 0);
    ERR_clear_error();
    int done = SSL_read_ex(stream->ssl, data, size, &n);
    stream->drained = done != 1;
    return result_of(stream, done, n);
}

static ssize_t give(struct stream *stream, const char *data, size_t size)
{
    size_t n = 0;

    if (!stream->ssl)
        return send(stream->fd, data, size, MSG_NOSIGNAL);
    ERR_clear_error();
    int done = SSL_write_ex(stream->ssl, data, size, &n);
    return result_of(stream, done, n);
}
#else
static void use_tls(const char *pem)
{
    (void)pem;
    errno = ENOSYS;
    die("TLS");
}

static void start_tls(struct stream *stream)
{
    (void)stream;
}

static void stop_tls(struct stream *stream)
{
    (void)stream;
}

static bool has_more(const struct stream *stream)
{
    (void)stream;
    return false;
}

static ssize_t take(struct stream *stream, char *data, size_t size)
{
    return recv(stream->fd, data, size, 0);
}

static ssize_t give(struct stream *stream, const char *data, size_t size)
{
    return send(stream->fd, data, size, MSG_NOSIGNAL);
}
#endif

#endif
