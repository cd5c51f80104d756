/* Moves bytes for one connection: TCP, a Unix socket, or TLS over TCP.  Never
 * blocks.
 *
 * A transport is a struct of functions.  If its streams share something (TLS:
 * certificates), this is the first member of a struct of its own.  A reason is
 * an errno or one of jsonrpcc_reason; 0: none. */

#ifndef JRC_TRANSPORT_H
#define JRC_TRANSPORT_H

#include "io/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One connection's descriptor, and its transport's own state.  Its socket owns
 * it, and opens and closes the descriptor, because a fork() must not see that
 * half done.  A forked child closes its copy and calls no function of the
 * transport, so that the peer never sees an end that is not one. */
struct jrc_stream {
    const struct jrc_transport *transport;
    int fd;        /* -1: none */
    void *state;   /* the transport's own, from connect() to close() */
    uint32_t conn; /* the connection's number, for what outlives the stream */
};

struct jrc_transport {
    /* Begin to connect the new descriptor.  host is what users wrote, for
     * transports that verify names.  Returns 0; or why that failed, and then
     * there is nothing to close. */
    int32_t (*connect)(struct jrc_stream *stream,
                       const struct jrc_endpoint *endpoint, const char *host);

    /* The descriptor is ready for what was waited for, at first for writing:
     * continue.  Sets *want to 0 when the connection is established, otherwise
     * to what to wait for: EV_READ, EV_WRITE or both.  Returns 0, or why the
     * attempt failed. */
    int32_t (*handshake)(struct jrc_stream *stream, short *want);

    /* Returns the bytes received in buf; 0: there are none, wait for more; -1:
     * the connection is over, and *reason says why. */
    ssize_t (*recv)(struct jrc_stream *stream, char *buf, size_t size,
                    int32_t *reason);

    /* Whether recv() has something that the descriptor does not show. */
    bool (*has_input)(const struct jrc_stream *stream);

    /* Send what is held back, then from buf, which begins after what was
     * committed: the transport already has its first begun() bytes.  Returns
     * the bytes committed, which the peer can read from now on (TCP: taken by
     * the kernel; TLS: their record is completely out). -1: the connection is
     * over. */
    ssize_t (*send)(struct jrc_stream *stream, const char *buf, size_t len,
                    int32_t *reason);

    /* How many bytes are not committed but can no longer be taken back (TLS:
     * they are encrypted). As few as possible. */
    size_t (*begun)(const struct jrc_stream *stream);

    /* Whether to call send() when the descriptor can be written to, even if
     * there is nothing new to send. */
    bool (*has_output)(const struct jrc_stream *stream);

    /* While we do not read, a peer that waits for us does not read, either.
     * patient: the kernel must not give up on the connection because of
     * that. */
    void (*set_patient)(struct jrc_stream *stream, bool patient);

    /* Say goodbye, if the protocol can, and release the state.  The descriptor
     * is closed afterwards. */
    void (*close)(struct jrc_stream *stream);
};

#endif
