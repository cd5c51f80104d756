#include "io/transport_unix.h"

#include "io/transport_plain.h"
#include "jsonrpcc.h"

#include <errno.h>
#include <sys/socket.h>

/* EAGAIN is a refusal here: no attempt is under way, and nothing would say when
 * to try again. */
static int32_t unix_connect(struct jrc_stream *stream,
                            const struct jrc_endpoint *endpoint,
                            const char *host)
{
    const struct sockaddr *address = (const void *)&endpoint->address;

    (void)host;
    if (connect(stream->fd, address, endpoint->size) == 0)
        return 0;
    return errno == EAGAIN ? JSONRPCC_BACKLOG_FULL : errno;
}

/* The kernel gives up on nothing here. */
static void unix_set_patient(struct jrc_stream *stream, bool patient)
{
    (void)stream;
    (void)patient;
}

const struct jrc_transport jrc_unix = {
    .connect = unix_connect,
    .handshake = jrc_plain_handshake,
    .recv = jrc_plain_recv,
    .has_input = jrc_plain_has_nothing,
    .send = jrc_plain_send,
    .begun = jrc_plain_begun,
    .has_output = jrc_plain_has_nothing,
    .set_patient = unix_set_patient,
    .close = jrc_plain_close,
};
