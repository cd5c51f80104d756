#include "io/transport_tcp.h"

#include "io/transport_plain.h"

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
void jrc_tcp_tune(int fd)
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
    jrc_tcp_tune(stream->fd);
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

static int32_t tcp_handshake(struct jrc_stream *stream, short *want)
{
    int32_t reason = jrc_plain_handshake(stream, want);

    return reason == 0 && is_self(stream->fd) ? ECONNREFUSED : reason;
}

static void tcp_set_patient(struct jrc_stream *stream, bool patient)
{
    int value = patient ? 0 : USER_TIMEOUT_MS;

    setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

const struct jrc_transport jrc_tcp = {
    .connect = tcp_connect,
    .handshake = tcp_handshake,
    .recv = jrc_plain_recv,
    .has_input = jrc_plain_has_nothing,
    .send = jrc_plain_send,
    .begun = jrc_plain_begun,
    .has_output = jrc_plain_has_nothing,
    .set_patient = tcp_set_patient,
    .close = jrc_plain_close,
};
