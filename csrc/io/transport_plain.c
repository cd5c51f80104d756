#include "io/transport_plain.h"

#include "jsonrpcc.h"

#include <errno.h>
#include <sys/socket.h>

int32_t jrc_plain_handshake(struct jrc_stream *stream, short *want)
{
    int error = 0;
    socklen_t size = sizeof error;

    *want = 0;
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return errno;
    return error;
}

ssize_t jrc_plain_recv(struct jrc_stream *stream, char *buf, size_t size,
                       int32_t *reason)
{
    ssize_t n = recv(stream->fd, buf, size, MSG_DONTWAIT);

    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    *reason = n == 0 ? JSONRPCC_PEER_CLOSED : errno;
    return -1;
}

ssize_t jrc_plain_send(struct jrc_stream *stream, const char *buf, size_t len,
                       int32_t *reason)
{
    ssize_t n = send(stream->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        return 0;
    *reason = errno;
    return -1;
}

bool jrc_plain_has_nothing(const struct jrc_stream *stream)
{
    (void)stream;
    return false;
}

size_t jrc_plain_begun(const struct jrc_stream *stream)
{
    (void)stream;
    return 0;
}

void jrc_plain_close(struct jrc_stream *stream)
{
    (void)stream;
}
