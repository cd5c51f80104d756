#include "io/transport_tcp.h"

#include "jsonrpcc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* A peer that vanishes is noticed after 10 + 3 * 5 seconds when idle, and when
 * data stays unacknowledged for 15. */
enum { KEEPALIVE_IDLE_S = 10, KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_COUNT = 3 };
enum { USER_TIMEOUT_MS = 15000 };

/* If a kernel lacks an option, that is no reason not to connect. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
}

static int32_t tcp_connect(struct jrc_stream *stream,
                           const struct jrc_endpoint *endpoint,
                           const char *host)
{
    const struct sockaddr *address = (const void *)&endpoint->address;

    (void)host;
    tune(stream->fd);
    if (connect(stream->fd, address, endpoint->size) != 0 &&
        errno != EINPROGRESS)
        return errno;
    return 0;
}

/* Connecting to a free local port may connect the socket to itself. */
static bool is_self(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_len = sizeof here, there_len = sizeof there;

    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
           here_len == there_len && memcmp(&here, &there, here_len) == 0;
}

/* TCP has no handshake of its own: the attempt is already decided. */
static int32_t tcp_handshake(struct jrc_stream *stream, short *want)
{
    int error = 0;
    socklen_t size = sizeof error;

    *want = 0;
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return errno;
    return error == 0 && is_self(stream->fd) ? ECONNREFUSED : error;
}

static ssize_t tcp_recv(struct jrc_stream *stream, char *buf, size_t size,
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

static ssize_t tcp_send(struct jrc_stream *stream, const char *buf, size_t len,
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

static void tcp_set_patient(struct jrc_stream *stream, bool patient)
{
    int value = patient ? 0 : USER_TIMEOUT_MS;

    setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

/* Whatever was taken is in the kernel. */
static bool has_nothing(const struct jrc_stream *stream)
{
    (void)stream;
    return false;
}

static size_t begun_nothing(const struct jrc_stream *stream)
{
    (void)stream;
    return 0;
}

static void say_nothing(struct jrc_stream *stream)
{
    (void)stream;
}

const struct jrc_transport jrc_tcp = {
    .connect = tcp_connect,
    .handshake = tcp_handshake,
    .recv = tcp_recv,
    .has_input = has_nothing,
    .send = tcp_send,
    .begun = begun_nothing,
    .has_output = has_nothing,
    .set_patient = tcp_set_patient,
    .close = say_nothing,
};
