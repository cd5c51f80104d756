/* Moves bytes for one connection: TCP today; a Unix socket or TLS is a file
 * more.  Never blocks.
 *
 * A transport is a struct of functions; one that has something to share among
 * its streams (TLS: certificates) puts this struct first into its own.  A
 * reason is an errno or one of jsonrpcc_reason; 0: none. */

#ifndef JRC_TRANSPORT_H
#define JRC_TRANSPORT_H

#include "io/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One connection's descriptor, and what its transport knows of it.  Its socket
 * owns it, and opens and closes the descriptor, since a fork() must not see
 * that half done.  A forked child closes its copy and calls nothing of the
 * transport's: so the peer is never told an end that is not one. */
struct jrc_stream {
    const struct jrc_transport *transport;
    int fd;      /* -1: none */
    void *state; /* the transport's own, from connect() to close() */
};

struct jrc_transport {
    /* Begin to connect the new descriptor.  host is as users wrote it, for
     * those who verify names.  Returns why that failed, and then there is
     * nothing to close. */
    int32_t (*connect)(struct jrc_stream *stream,
                       const struct jrc_endpoint *endpoint, const char *host);

    /* The descriptor is ready for what was waited for, at first to be written
     * to: go on.  *want is 0 when the connection stands, or what is to be
     * waited for, EV_READ or EV_WRITE or both.  Returns why the attempt has
     * failed. */
    int32_t (*handshake)(struct jrc_stream *stream, short *want);

    /* Bytes received in buf; 0: there are none, wait for more; -1: the
     * connection is over, *reason says why. */
    ssize_t (*recv)(struct jrc_stream *stream, char *buf, size_t size,
                    int32_t *reason);

    /* Whether recv() has something that the descriptor does not show. */
    bool (*has_input)(const struct jrc_stream *stream);

    /* Send what is held back, and then of buf, which begins behind what was
     * committed, so that its first begun() bytes are known.  Returns the bytes
     * committed: what the peer can read from now on (TCP: taken by the kernel;
     * TLS: their record is wholly out).  -1: the connection is over. */
    ssize_t (*send)(struct jrc_stream *stream, const char *buf, size_t len,
                    int32_t *reason);

    /* How many bytes that are not committed cannot be taken back any more
     * (TLS: they are encrypted).  As few as possible. */
    size_t (*begun)(const struct jrc_stream *stream);

    /* Whether send() is to be called when the descriptor can be written to,
     * though there may be nothing new to send. */
    bool (*has_output)(const struct jrc_stream *stream);

    /* While we do not read, a peer that waits for us does not either: the
     * kernel shall not give up on the connection for that. */
    void (*set_patient)(struct jrc_stream *stream, bool patient);

    /* Say goodbye, if that is the custom, and release the state.  The
     * descriptor is closed after that. */
    void (*close)(struct jrc_stream *stream);
};

#endif
