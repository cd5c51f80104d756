/* The sockets of a loop, one for each connection. */

#ifndef JRC_SOCKET_H
#define JRC_SOCKET_H

#include "engine/engine.h"
#include "io/endpoint.h"
#include "io/resolver.h"
#include "io/transport.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

struct jrc_sockets;

/* The socket of one connection, and its attempts.  The state of its server says
 * whether it is connected. */
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
    struct jrc_socket *list; /* with room for as many as servers; each is made
                                when it is first used */
    struct jrc_engine *engine;
    const struct jrc_servers *servers;
    const struct jrc_transport *transport;
    struct jrc_resolver *resolver;
    struct event_base *base;
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

/* Whether it can carry bytes.  It cannot, for example, if the engine has ended
 * the connection and the socket is about to be shut. */
bool jrc_socket_is_connected(const struct jrc_socket *s);

/* Begin an attempt to connect; move on to its next endpoint; or end the attempt
 * and the connection. */
void jrc_socket_attempt(struct jrc_socket *s, uint64_t now_us);
void jrc_socket_try_next(struct jrc_socket *s, int32_t reason);
void jrc_socket_shut(struct jrc_socket *s);

/* The connection, or the whole attempt, is over: report it to the engine. */
void jrc_socket_lost(struct jrc_socket *s, int32_t reason);

/* Send once what the engine has for it. */
void jrc_socket_flush(struct jrc_socket *s, uint64_t now_us);

/* Receive where data is likely.  False: there was none, or it is time to poll
 * all sockets. */
bool jrc_sockets_look(struct jrc_sockets *sockets);

/* Take the resolver's answers. */
void jrc_sockets_take_answers(struct jrc_sockets *sockets);

/* Start or stop reading from all of them. */
void jrc_sockets_set_reading(struct jrc_sockets *sockets, bool reading);

/* Begin the lookups that are due. */
void jrc_sockets_look_up(struct jrc_sockets *sockets, uint64_t now_us);

#endif
