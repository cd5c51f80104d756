#include "io/transport_given.h"

#include "io/given.h"
#include "io/transport_plain.h"
#include "io/transport_tcp.h"

#include <sys/socket.h>

static int32_t given_connect(struct jrc_stream *stream,
                             const struct jrc_endpoint *endpoint,
                             const char *host)
{
    (void)endpoint;
    (void)host;
    if (jrc_given_is_tcp(stream->fd))
        jrc_tcp_tune(stream->fd);
    return 0;
}

static void given_set_patient(struct jrc_stream *stream, bool patient)
{
    if (jrc_given_is_tcp(stream->fd))
        jrc_tcp.set_patient(stream, patient);
}

/* The program may have descriptors of the same socket, and so may programs that
 * it has started: the server has to see the end nevertheless. */
static void given_close(struct jrc_stream *stream)
{
    shutdown(stream->fd, SHUT_RDWR);
}

const struct jrc_transport jrc_given_transport = {
    .connect = given_connect,
    .handshake = jrc_plain_handshake,
    .recv = jrc_plain_recv,
    .has_input = jrc_plain_has_nothing,
    .send = jrc_plain_send,
    .begun = jrc_plain_begun,
    .has_output = jrc_plain_has_nothing,
    .set_patient = given_set_patient,
    .close = given_close,
};
