#include "io/traffic.h"

#include "engine/connection.h"
#include "io/attempt.h"
#include "io/clock.h"
#include "io/event_base.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

/* The most reads from a socket that is being abandoned. */
enum { LAST_READS = 64 };

/* How many times in a row a look at one socket may replace a poll of all. */
enum { MOST_LOOKS = 15 };

/* Receive once.  1; 0: there was nothing; -1: the connection is over, or there
 * is no memory. */
static int receive(struct jrc_socket *s, int32_t *reason)
{
    struct jrc_engine *engine = s->all->engine;
    size_t room;
    char *space = jrc_engine_space(engine, s->conn, &room);

    if (space == NULL) {
        *reason = ENOMEM;
        return -1;
    }
    ssize_t n = s->stream.transport->recv(&s->stream, space, room, reason);
    if (n <= 0)
        return (int)n;
    s->all->hot = s->all->last == s ? s : NULL;
    s->all->last = s;
    jrc_engine_received(engine, s->conn, (size_t)n, jrc_now_us());
    return 1;
}

/* Receive what one look finds, and what the transport still holds back, which a
 * poll would not find. */
static void receive_all(struct jrc_socket *s)
{
    const struct jrc_transport *transport = s->stream.transport;
    int32_t reason = 0;
    int got;

    do
        got = receive(s, &reason);
    while (got > 0 && jrc_socket_is_connected(s) &&
           transport->has_input(&s->stream));
    if (got < 0)
        jrc_socket_lost(s, reason);
    else if (jrc_socket_is_connected(s) && transport->has_output(&s->stream) &&
             (reason = jrc_socket_set_writing(s, true)) != 0)
        jrc_socket_lost(s, reason);
}

bool jrc_sockets_look(struct jrc_sockets *sockets)
{
    struct jrc_socket *s = sockets->hot;

    sockets->hot = NULL;
    if (s == NULL || !jrc_socket_is_connected(s) || !sockets->reading ||
        sockets->looks == MOST_LOOKS) {
        sockets->looks = 0;
        return false;
    }
    sockets->looks++;
    jrc_stay_awake(sockets);
    receive_all(s);
    return sockets->hot == s || !jrc_socket_is_connected(s);
}

/* A send failed: responses that arrived before that are still in the kernel. */
static void lose_after_reading(struct jrc_socket *s, int32_t reason)
{
    int32_t ignored;

    for (int i = 0; i < LAST_READS && jrc_socket_is_connected(s); i++)
        if (receive(s, &ignored) <= 0)
            break;
    if (jrc_socket_is_connected(s))
        jrc_socket_lost(s, reason);
}

void jrc_socket_flush(struct jrc_socket *s, uint64_t now_us)
{
    const struct jrc_transport *transport = s->stream.transport;
    struct jrc_engine *engine = s->all->engine;
    int32_t reason = 0;
    size_t len;
    const char *bytes = jrc_engine_output(engine, s->conn, &len);

    if (len == 0 && !transport->has_output(&s->stream)) {
        jrc_socket_set_writing(s, false);
        return;
    }
    ssize_t n = transport->send(&s->stream, bytes, len, &reason);
    if (n < 0) {
        lose_after_reading(s, reason);
        return;
    }
    jrc_engine_sent(engine, s->conn, (size_t)n, now_us);
    jrc_engine_begun(engine, s->conn, transport->begun(&s->stream));
    reason = jrc_socket_set_writing(s, (size_t)n < len ||
                                           transport->has_output(&s->stream));
    if (reason != 0)
        lose_after_reading(s, reason);
}

void jrc_socket_measure(struct jrc_socket *s, uint64_t now_us)
{
    int held = 0;

    if (!jrc_socket_is_connected(s) ||
        ioctl(s->stream.fd, SIOCOUTQ, &held) != 0 || held < 0)
        held = 0;
    jrc_engine_held(s->all->engine, s->conn, (size_t)held, now_us);
}

void jrc_sockets_set_reading(struct jrc_sockets *sockets, bool reading)
{
    if (sockets->reading == reading)
        return;
    sockets->reading = reading;
    for (uint32_t i = 0; i < jrc_engine_conn_count(sockets->engine); i++) {
        struct jrc_socket *s = &sockets->list[i];
        if (!jrc_socket_exists(sockets, i) || !jrc_socket_is_connected(s))
            continue;
        int error = 0;
        s->stream.transport->set_patient(&s->stream, !reading);
        if (!reading)
            event_del(&s->read_event);
        else
            error = jrc_event_add(&s->read_event);
        if (error != 0)
            jrc_socket_lost(s, error);
        else if (reading && s->stream.transport->has_input(&s->stream))
            receive_all(s);
    }
}

/* Receive what came with the end of the handshake. */
static void receive_early(struct jrc_socket *s)
{
    if (s->all->reading && jrc_socket_is_connected(s) &&
        s->stream.transport->has_input(&s->stream))
        receive_all(s);
}

void jrc_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_socket *s = arg;

    (void)fd;
    jrc_stay_awake(s->all);
    if (s->stream.fd < 0)
        return;
    if (jrc_socket_state(s) == JRC_SERVER_CONNECTING) {
        if (jrc_socket_go_on(s))
            receive_early(s);
    } else if (!jrc_socket_is_connected(s)) {
        return; /* it is about to be shut */
    } else if (what == EV_READ) {
        receive_all(s);
    } else {
        jrc_socket_flush(s, jrc_now_us());
    }
}
