#include "tls_end.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

SSL_CTX *tls_end_context(const struct identity *identity, int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL ||
        SSL_CTX_use_certificate(context, identity->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, identity->key) != 1)
        abort();
    if (version == TLS1_2_VERSION)
        SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"t", 1);
    return context;
}

static void on_message(int sent, int version, int type, const void *bytes,
                       size_t len, SSL *ssl, void *arg)
{
    struct tls_end *end = arg;
    const unsigned char *head = bytes;

    (void)version;
    (void)len;
    (void)ssl;
    if (sent == 0 && type == SSL3_RT_HEADER && head[0] == 23)
        end->records++;
    if (sent == 0 && type == SSL3_RT_HANDSHAKE && head[0] == 1)
        end->greetings++;
}

void tls_end_start(struct tls_end *end, SSL_CTX *context, int fd)
{
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    memset(end, 0, sizeof *end);
    end->fd = fd;
    end->may_receive = end->may_send = SIZE_MAX;
    end->text = malloc(TLS_END_ROOM);
    end->ssl = SSL_new(context);
    if (end->ssl == NULL || in == NULL || out == NULL || end->text == NULL)
        abort();
    SSL_set_bio(end->ssl, in, out);
    SSL_set_accept_state(end->ssl);
    SSL_set_msg_callback(end->ssl, on_message);
    SSL_set_msg_callback_arg(end->ssl, end);
}

static void receive(struct tls_end *end)
{
    char some[4096];
    size_t want =
        end->may_receive < sizeof some ? end->may_receive : sizeof some;
    ssize_t n;

    while (want > 0 && (n = recv(end->fd, some, want, MSG_DONTWAIT)) > 0) {
        end->got += (size_t)n;
        if (end->may_receive != SIZE_MAX)
            end->may_receive -= (size_t)n;
        BIO_write(SSL_get_rbio(end->ssl), some, (int)n);
        want = end->may_receive < sizeof some ? end->may_receive : sizeof some;
    }
}

static void send_out(struct tls_end *end)
{
    BIO *out = SSL_get_wbio(end->ssl);
    char *bytes;
    size_t len = (size_t)BIO_get_mem_data(out, &bytes);

    len = len < end->may_send ? len : end->may_send;
    ssize_t n =
        len > 0 ? send(end->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n <= 0)
        return;
    end->sent += (size_t)n;
    if (end->may_send != SIZE_MAX)
        end->may_send -= (size_t)n;
    char gone[4096];
    while (n > 0)
        n -= BIO_read(out, gone, n < 4096 ? (int)n : 4096);
}

static void step(struct tls_end *end)
{
    size_t n;

    ERR_clear_error();
    if (!end->established) {
        int done = SSL_do_handshake(end->ssl);
        end->established = done == 1;
        if (done != 1) {
            if (SSL_get_error(end->ssl, done) == SSL_ERROR_SSL)
                end->error = ERR_GET_REASON(ERR_peek_error());
            return;
        }
        end->resumed = (unsigned)SSL_session_reused(end->ssl);
    }
    while (SSL_read_ex(end->ssl, end->text + end->len, TLS_END_ROOM - end->len,
                       &n) == 1)
        end->len += n;
    int error = SSL_get_error(end->ssl, 0);
    end->ended = error == SSL_ERROR_ZERO_RETURN;
    if (error == SSL_ERROR_SSL)
        end->error = ERR_GET_REASON(ERR_peek_error());
}

void tls_end_pump(struct tls_end *end)
{
    if (end->fd < 0)
        return;
    receive(end);
    if (end->error == 0 && !end->ended)
        step(end);
    ERR_clear_error();
    send_out(end);
}

void tls_end_write(struct tls_end *end, const char *text, size_t len)
{
    size_t n;

    ERR_clear_error();
    if (SSL_write_ex(end->ssl, text, len, &n) != 1 || n != len)
        abort();
}

void tls_end_cut(struct tls_end *end)
{
    if (end->fd >= 0)
        close(end->fd);
    end->fd = -1;
}

void tls_end_stop(struct tls_end *end)
{
    tls_end_cut(end);
    SSL_free(end->ssl);
    free(end->text);
}
