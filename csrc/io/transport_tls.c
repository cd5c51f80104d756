#include "io/transport_tls.h"

#ifdef JRC_TLS

#include "io/tls_channel.h"
#include "io/transport_tcp.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_RECORDS = 16, /* that one send() makes, before others get a turn */
    MOST_STEPS = 16    /* of a handshake, likewise */
};

struct jrc_tls {
    struct jrc_transport transport; /* first: streams point to it */
    struct jrc_tls_context *context;
    /* By connection.  Under the context's lock, as others read them. */
    struct jrc_tls_peer **peers;
    size_t peer_count;
};

static struct jrc_tls_channel *channel_of(const struct jrc_stream *stream)
{
    return stream->state;
}

/* Under the lock. */
static struct jrc_tls_peer *peer_of(struct jrc_tls *tls, uint32_t conn)
{
    if (conn >= tls->peer_count) {
        size_t count =
            tls->peer_count * 2 > conn ? tls->peer_count * 2 : (size_t)conn + 1;
        struct jrc_tls_peer **peers =
            realloc(tls->peers, count * sizeof *peers);
        if (peers == NULL)
            return NULL;
        memset(peers + tls->peer_count, 0,
               (count - tls->peer_count) * sizeof *peers);
        tls->peers = peers;
        tls->peer_count = count;
    }
    if (tls->peers[conn] == NULL)
        tls->peers[conn] = calloc(1, sizeof *tls->peers[conn]);
    return tls->peers[conn];
}

static int32_t tls_connect(struct jrc_stream *stream,
                           const struct jrc_endpoint *endpoint,
                           const char *host)
{
    struct jrc_tls *tls = (struct jrc_tls *)stream->transport;

    if (!jrc_tls_lock(tls->context))
        return ECANCELED;
    struct jrc_tls_peer *peer = peer_of(tls, stream->conn);
    struct jrc_tls_channel *channel =
        peer == NULL ? NULL : jrc_tls_channel_new(tls->context, peer, host);
    int32_t reason =
        channel == NULL ? ENOMEM : jrc_tcp.connect(stream, endpoint, host);
    if (reason == 0)
        stream->state = channel;
    else if (channel != NULL)
        jrc_tls_channel_free(channel);
    jrc_tls_unlock(tls->context);
    return reason;
}

/* ---- bytes ---- */

/* Send what is in out, once.  0, or why that failed.  *committed grows by what
 * the peer can read now. */
static int32_t flush(struct jrc_stream *stream, size_t *committed)
{
    struct jrc_tls_channel *channel = channel_of(stream);
    struct jrc_tls_buffers *b = &channel->buffers;
    int32_t reason = 0;

    if (b->out_start == b->out_end)
        return 0;
    ssize_t n = jrc_tcp.send(stream, b->out + b->out_start,
                             b->out_end - b->out_start, &reason);
    if (n < 0)
        return reason;
    b->out_start += (size_t)n;
    if (channel->plain > 0 && b->out_start >= channel->record_end) {
        *committed += channel->plain;
        channel->plain = 0;
    }
    if (b->out_start == b->out_end)
        b->out_start = b->out_end = channel->record_end = 0;
    return 0;
}

/* Make one record.  The output buffer is empty, so there is room for it. */
static int32_t encrypt(struct jrc_tls_channel *channel, const char *buf,
                       size_t len)
{
    size_t n = len < JRC_TLS_PLAIN ? len : JRC_TLS_PLAIN;

    ERR_clear_error();
    if (SSL_write_ex(channel->ssl, buf, n, &channel->plain) != 1) {
        channel->plain = 0;
        return jrc_tls_channel_fail_now(channel);
    }
    channel->record_end = channel->buffers.out_end;
    return 0;
}

static bool is_blocked(const struct jrc_tls_channel *channel)
{
    return channel->buffers.out_start < channel->buffers.out_end;
}

static ssize_t send_records(struct jrc_stream *stream, const char *buf,
                            size_t len, int32_t *reason)
{
    struct jrc_tls_channel *channel = channel_of(stream);
    size_t committed = 0;

    *reason = channel->broken ? channel->reason : 0;
    for (int made = 0; *reason == 0; made++) {
        *reason = flush(stream, &committed);
        if (*reason != 0 || is_blocked(channel) || committed == len ||
            made == MOST_RECORDS)
            break;
        *reason = encrypt(channel, buf + committed, len - committed);
    }
    /* Report what has left; the next call will meet the failure again. */
    if (*reason == 0 || committed > 0)
        return (ssize_t)committed;
    return -1;
}

static ssize_t tls_send(struct jrc_stream *stream, const char *buf, size_t len,
                        int32_t *reason)
{
    struct jrc_tls_context *context = channel_of(stream)->context;

    *reason = ECANCELED;
    if (!jrc_tls_lock(context))
        return -1;
    ssize_t n = send_records(stream, buf, len, reason);
    jrc_tls_unlock(context);
    return n;
}

/* Receive once from the kernel.  As recv() of a transport. */
static ssize_t fill(struct jrc_stream *stream, int32_t *reason)
{
    struct jrc_tls_buffers *b = &channel_of(stream)->buffers;
    size_t room;
    char *space = jrc_tls_buffers_space(b, &room);
    ssize_t n = jrc_tcp.recv(stream, space, room, reason);

    if (n > 0)
        b->in_end += (size_t)n;
    return n;
}

/* OpenSSL gave no data.  1: there may be more in what it has; 0: not without
 * more from the kernel; -1: the connection is over. */
static int look_into(struct jrc_tls_channel *channel, int32_t *reason)
{
    switch (SSL_get_error(channel->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        if (channel->extras > 0)
            return channel->buffers.starved ? 0 : 1;
        *reason = jrc_tls_channel_fail(channel, JSONRPCC_TLS_ERROR -
                                                    SSL_R_TOO_MANY_KEY_UPDATES);
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        *reason = jrc_tls_channel_fail(channel, JSONRPCC_PEER_CLOSED);
        return -1;
    default:
        *reason = jrc_tls_channel_fail_now(channel);
        return -1;
    }
}

static bool tls_has_input(const struct jrc_stream *stream)
{
    const struct jrc_tls_channel *channel = channel_of(stream);

    return !channel->broken && channel->established &&
           (SSL_pending(channel->ssl) > 0 ||
            jrc_tls_buffers_has_record(&channel->buffers));
}

static ssize_t receive(struct jrc_stream *stream, char *buf, size_t size,
                       int32_t *reason)
{
    struct jrc_tls_channel *channel = channel_of(stream);
    /* At most once, or a fast peer would keep us here. */
    bool may_fill = !tls_has_input(stream);
    size_t n;

    while (!channel->broken) {
        ERR_clear_error();
        channel->buffers.starved = false;
        if (SSL_read_ex(channel->ssl, buf, size, &n) == 1) {
            jrc_tls_channel_allow(channel);
            return (ssize_t)n;
        }
        int more = look_into(channel, reason);
        if (more < 0)
            return -1;
        if (more > 0)
            continue;
        ssize_t got = may_fill ? fill(stream, reason) : 0;
        may_fill = false;
        if (got <= 0)
            return got;
    }
    *reason = channel->reason;
    return -1;
}

static ssize_t tls_recv(struct jrc_stream *stream, char *buf, size_t size,
                        int32_t *reason)
{
    struct jrc_tls_context *context = channel_of(stream)->context;

    *reason = ECANCELED;
    if (!jrc_tls_lock(context))
        return -1;
    ssize_t n = receive(stream, buf, size, reason);
    jrc_tls_unlock(context);
    return n;
}

/* ---- the handshake ---- */

/* One step.  *again: another one may be possible at once. */
static int32_t step(struct jrc_stream *stream, short *want, bool *again)
{
    struct jrc_tls_channel *channel = channel_of(stream);
    size_t none = 0;
    int32_t reason = 0;

    ERR_clear_error();
    channel->buffers.starved = false;
    int done = SSL_do_handshake(channel->ssl);
    int error = SSL_get_error(channel->ssl, done);
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ &&
        error != SSL_ERROR_WANT_WRITE)
        return jrc_tls_channel_fail_now(channel);
    reason = flush(stream, &none);
    if (reason != 0)
        return reason;
    *want = is_blocked(channel) ? EV_WRITE : 0;
    *again = false;
    if (done == 1) {
        /* But only when our own last message is out. */
        channel->established = *want == 0;
        return 0;
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        *again = *want == 0;
        return 0;
    }
    ssize_t got = fill(stream, &reason);
    if (got < 0)
        return jrc_tls_channel_fail(channel, reason == JSONRPCC_PEER_CLOSED ||
                                                     reason == ECONNRESET
                                                 ? JSONRPCC_TLS
                                                 : reason);
    *again = got > 0;
    *want |= EV_READ;
    return 0;
}

static int32_t tls_handshake(struct jrc_stream *stream, short *want)
{
    struct jrc_tls_channel *channel = channel_of(stream);
    struct jrc_tls_context *context = channel->context;
    int32_t reason = 0;
    bool again = true;

    if (!channel->connected)
        reason = jrc_tcp.handshake(stream, want);
    if (reason != 0)
        return reason;
    channel->connected = true;
    if (!jrc_tls_lock(context))
        return ECANCELED;
    for (int i = 0; i < MOST_STEPS && again && reason == 0; i++)
        reason = step(stream, want, &again);
    if (again && reason == 0)
        *want = EV_WRITE; /* go on soon, in the next turn */
    if (channel->established)
        jrc_tls_peer_note(channel->peer, channel->ssl);
    jrc_tls_unlock(context);
    return reason;
}

/* ---- the rest ---- */

static size_t tls_begun(const struct jrc_stream *stream)
{
    return channel_of(stream)->plain;
}

static bool tls_has_output(const struct jrc_stream *stream)
{
    return is_blocked(channel_of(stream));
}

static void tls_set_patient(struct jrc_stream *stream, bool patient)
{
    jrc_tcp.set_patient(stream, patient);
}

/* A record that contains calls must not be completed now, because their
 * outcomes say that they were not sent.  If there is none, an alert or
 * close_notify may still go out. */
static void tls_close(struct jrc_stream *stream)
{
    struct jrc_tls_channel *channel = channel_of(stream);
    struct jrc_tls_context *context = channel->context;
    size_t none = 0;

    if (jrc_tls_lock(context)) { /* or this is exit, and OpenSSL is gone */
        if (channel->established && !channel->broken && !is_blocked(channel))
            SSL_shutdown(channel->ssl);
        if (channel->plain == 0)
            flush(stream, &none);
        jrc_tls_channel_free(channel);
        jrc_tls_unlock(context);
    }
    stream->state = NULL;
}

static const struct jrc_transport functions = {
    .connect = tls_connect,
    .handshake = tls_handshake,
    .recv = tls_recv,
    .has_input = tls_has_input,
    .send = tls_send,
    .begun = tls_begun,
    .has_output = tls_has_output,
    .set_patient = tls_set_patient,
    .close = tls_close,
};

/* ---- what streams share ---- */

struct jrc_tls *jrc_tls_new(struct jrc_tls_context *context)
{
    struct jrc_tls *tls = calloc(1, sizeof *tls);

    if (tls == NULL)
        return NULL;
    tls->transport = functions;
    tls->context = jrc_tls_context_ref(context);
    return tls;
}

void jrc_tls_free(struct jrc_tls *tls)
{
    if (tls == NULL)
        return;
    if (jrc_tls_lock(tls->context)) {
        for (size_t i = 0; i < tls->peer_count; i++)
            jrc_tls_peer_free(tls->peers[i]);
        free(tls->peers);
        jrc_tls_unlock(tls->context);
    }
    jrc_tls_context_unref(tls->context);
    free(tls);
}

const struct jrc_transport *jrc_tls_transport(const struct jrc_tls *tls)
{
    return &tls->transport;
}

void jrc_tls_describe(struct jrc_tls *tls, uint32_t conn,
                      jsonrpcc_server_tls_info *info)
{
    pthread_mutex_lock(&tls->context->lock);
    if (conn < tls->peer_count && tls->peers[conn] != NULL)
        *info = tls->peers[conn]->info;
    pthread_mutex_unlock(&tls->context->lock);
}

#endif
