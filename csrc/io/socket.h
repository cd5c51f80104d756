/* The sockets of a loop, one a connection: what loop.c and socket.c share. */

#ifndef JRC_SOCKET_H
#define JRC_SOCKET_H

#include "io/loop.h"
#include "io/resolver.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

/* The socket of one connection, and its attempts. */
struct jrc_socket {
    struct jrc_loop *loop;
    uint32_t conn;
    int fd; /* -1: none.  Changed under fd_lock only */
    bool connected;
    bool writing;               /* write_event is pending */
    bool resolving;             /* a look-up was asked for and not answered */
    struct addrinfo *addresses; /* of the attempt */
    struct addrinfo *next;      /* which of them comes next */
    struct event read_event, write_event;
};

struct jrc_loop {
    struct jrc_engine *engine;
    const struct jrc_servers *servers;
    struct jrc_resolver *resolver;
    struct event_base *base;
    struct event wake_event;
    struct event timer;
    uint64_t timer_us; /* when it goes off; JRC_NEVER: it is not set */
    int wake_fd;
    int timer_fd;
    int epoll_fd; /* libevent's, or -1 */
    _Atomic uint64_t wakeups;
    atomic_uint wakers; /* threads that may write to wake_fd */
    atomic_bool asleep; /* a write to wake_fd is needed, and will do */
    bool reading;
    struct jrc_socket *last; /* that data came from */
    struct jrc_socket *hot;  /* the same, if the data before came from it too */
    unsigned looks;          /* at it, since the last real poll */
    bool woken;              /* the eventfd was read: there may be an answer */
    pthread_mutex_t fd_lock;
    struct jrc_socket sockets[];
};

/* Nobody needs to wake the loop any more: first thing in every event callback.
 */
static inline void jrc_stay_awake(struct jrc_loop *loop)
{
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
}

/* Begin an attempt to connect, go on to the next address of one, or end it and
 * the connection. */
void jrc_socket_attempt(struct jrc_socket *s, uint64_t now_us);
void jrc_socket_try_next(struct jrc_socket *s, int32_t reason);
void jrc_socket_shut(struct jrc_socket *s);

/* The connection, or the whole attempt, is over: tell the engine. */
void jrc_socket_lost(struct jrc_socket *s, int32_t reason);

/* While we do not read, a server that waits for us does not either: the kernel
 * shall not give the connection up for that. */
void jrc_socket_set_patience(struct jrc_socket *s);

/* Send what the engine has for it, once. */
void jrc_socket_flush(struct jrc_socket *s, uint64_t now_us);

/* Receive where data is likely.  False: there was none, or it is time to poll
 * the others. */
bool jrc_socket_look(struct jrc_loop *loop);

/* Take what the resolver has found. */
void jrc_socket_take_answers(struct jrc_loop *loop);

#endif
