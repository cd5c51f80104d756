/* The sockets of a loop, one for each connection. */

#ifndef JRC_SOCKET_H
#define JRC_SOCKET_H

#include "engine/connection.h"
#include "engine/engine.h"
#include "io/endpoint.h"
#include "io/given.h"
#include "io/resolver.h"
#include "io/transport.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

struct jrc_sockets;

/* The socket of one connection, and its attempts.  The connection's state in
 * the engine says whether it is connected. */
struct jrc_socket {
    struct jrc_sockets *all;
    uint32_t conn;
    struct jrc_stream stream; /* its descriptor changes under fd_lock only */
    bool writing;             /* write_event is pending */
    uint32_t
        uses; /* of the server's slot: whose endpoints and look-up it has */
    bool resolving; /* a look-up was asked for and not answered */
    struct jrc_endpoint *endpoints; /* of the attempt */
    struct jrc_endpoint *next;      /* the one to try next */
    struct event read_event, write_event;
};

/* The sockets, and what they have in common. */
struct jrc_sockets {
    struct jrc_socket *list; /* with room for all connections; each is made
                                when it is first used */
    struct jrc_engine *engine;
    const struct jrc_transport *transport;
    struct jrc_resolver *resolver;
    struct event_base *base;
    event_callback_fn on_ready; /* jrc_socket_ready() */
    struct jrc_given given;     /* under fd_lock */
    pthread_mutex_t fd_lock;
    atomic_bool asleep; /* the loop has to be woken, by a write */
    bool reading;
    struct jrc_socket *last; /* the last one that brought data */
    struct jrc_socket *hot;  /* the same, if it brought the data before, too */
    unsigned looks;          /* at hot, since the last real poll */
};

/* The loop no longer needs to be woken: the first thing in every event
 * callback. */
static inline void jrc_stay_awake(struct jrc_sockets *sockets)
{
    atomic_store_explicit(&sockets->asleep, false, memory_order_relaxed);
}

/* The socket of a connection. */
struct jrc_socket *jrc_socket_of(struct jrc_sockets *sockets, uint32_t conn);

/* Whether one has been made for the connection. */
static inline bool jrc_socket_exists(const struct jrc_sockets *sockets,
                                     size_t conn)
{
    return sockets->list[conn].all != NULL;
}

/* Its server, and the state of its connection. */
static inline const struct jrc_server *jrc_socket_server(
    const struct jrc_socket *s)
{
    return jrc_engine_server(s->all->engine, s->conn);
}

static inline enum jrc_server_state jrc_socket_state(const struct jrc_socket *s)
{
    return s->all->engine->conns[s->conn].state;
}

/* Whether it can carry bytes.  It cannot, for example, if the engine has ended
 * the connection and the socket is about to be shut. */
static inline bool jrc_socket_is_connected(const struct jrc_socket *s)
{
    return s->stream.fd >= 0 && jrc_state_is_connected(jrc_socket_state(s));
}

/* Open a descriptor that fork() cannot catch half open.  0 or an errno. */
int jrc_socket_open(struct jrc_socket *s, int family);

/* Close its descriptor, if there is one, and have another; -1: none. */
void jrc_socket_set_fd(struct jrc_socket *s, int fd);

/* Close its connection, if there is one: transport, events and descriptor. */
void jrc_socket_close(struct jrc_socket *s);

/* Have it reported when it can be written to, or not any more.  0, or an errno:
 * nothing would report that. */
int jrc_socket_set_writing(struct jrc_socket *s, bool writing);

#endif
