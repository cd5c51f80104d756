#include "io/socket.h"

#include "engine/connection.h"
#include "io/clock.h"
#include "io/event_base.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that is gone without a word is found out after 10 + 3 * 5 seconds
 * when idle, and when it leaves data unacknowledged for 15. */
enum { KEEPALIVE_IDLE_S = 10, KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_COUNT = 3 };
enum { USER_TIMEOUT_MS = 15000 };

/* What is read at most from a socket that is being given up. */
enum { LAST_READS = 64 };

/* So many times in a row a look at one socket stands for a poll of all. */
enum { MOST_LOOKS = 15 };

static const struct jrc_server *server_of(const struct jrc_socket *s)
{
    return &s->all->servers->list[s->conn];
}

bool jrc_socket_is_connected(const struct jrc_socket *s)
{
    return s->fd >= 0 && jrc_server_is_connected(server_of(s));
}

static void set_fd(struct jrc_socket *s, int fd)
{
    pthread_mutex_lock(&s->all->fd_lock);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    pthread_mutex_unlock(&s->all->fd_lock);
}

/* A socket that fork() can not catch half-opened. */
static int open_fd(struct jrc_socket *s, int family)
{
    pthread_mutex_lock(&s->all->fd_lock);
    s->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = s->fd < 0 ? errno : 0;
    pthread_mutex_unlock(&s->all->fd_lock);
    return error;
}

/* A kernel that lacks an option is no reason not to connect. */
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

/* While we do not read, a server that waits for us does not either: the kernel
 * shall not give the connection up for that. */
static void set_patience(struct jrc_socket *s)
{
    int value = s->all->reading ? USER_TIMEOUT_MS : 0;

    setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

static void shut(struct jrc_socket *s)
{
    if (s->fd < 0)
        return;
    event_del(&s->read_event);
    event_del(&s->write_event);
    s->writing = false;
    set_fd(s, -1);
}

static void forget_addresses(struct jrc_socket *s)
{
    if (s->addresses != NULL)
        freeaddrinfo(s->addresses);
    s->addresses = s->next = NULL;
}

void jrc_socket_shut(struct jrc_socket *s)
{
    shut(s);
    forget_addresses(s);
}

/* 0, or an errno: nobody would tell when the socket can be written to. */
static int set_writing(struct jrc_socket *s, bool writing)
{
    int error = 0;

    if (s->writing == writing)
        return 0;
    if (!writing)
        event_del(&s->write_event);
    else
        error = jrc_event_add(&s->write_event);
    if (error == 0)
        s->writing = writing;
    return error;
}

void jrc_socket_lost(struct jrc_socket *s, int32_t reason)
{
    jrc_socket_shut(s);
    jrc_engine_lost(s->all->engine, s->conn, reason, jrc_now_us());
}

/* ---- established connections ---- */

/* Receive once.  False: the connection is over, or out of memory. */
static bool receive(struct jrc_socket *s, int32_t *reason)
{
    struct jrc_engine *engine = s->all->engine;
    size_t room;
    char *space = jrc_engine_space(engine, s->conn, &room);

    if (space == NULL) {
        *reason = ENOMEM;
        return false;
    }
    ssize_t n = recv(s->fd, space, room, MSG_DONTWAIT);
    if (n > 0) {
        s->all->hot = s->all->last == s ? s : NULL;
        s->all->last = s;
        jrc_engine_received(engine, s->conn, (size_t)n, jrc_now_us());
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    *reason = n == 0 ? JSONRPCC_PEER_CLOSED : errno;
    return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_socket *s = arg;
    int32_t reason;

    (void)fd;
    (void)what;
    jrc_stay_awake(s->all);
    if (jrc_socket_is_connected(s) && !receive(s, &reason))
        jrc_socket_lost(s, reason);
}

bool jrc_sockets_look(struct jrc_sockets *sockets)
{
    struct jrc_socket *s = sockets->hot;
    int32_t reason;

    sockets->hot = NULL;
    if (s == NULL || !jrc_socket_is_connected(s) || !sockets->reading ||
        sockets->looks == MOST_LOOKS) {
        sockets->looks = 0;
        return false;
    }
    sockets->looks++;
    jrc_stay_awake(sockets);
    if (!receive(s, &reason)) {
        jrc_socket_lost(s, reason);
        return true;
    }
    return sockets->hot == s;
}

/* A send failed: responses that came before are still in the kernel. */
static void lose_after_reading(struct jrc_socket *s, int32_t reason)
{
    int32_t ignored;

    for (int i = 0; i < LAST_READS && jrc_socket_is_connected(s); i++) {
        char probe;
        if (recv(s->fd, &probe, 1, MSG_DONTWAIT | MSG_PEEK) <= 0 ||
            !receive(s, &ignored))
            break;
    }
    if (jrc_socket_is_connected(s))
        jrc_socket_lost(s, reason);
}

void jrc_socket_flush(struct jrc_socket *s, uint64_t now_us)
{
    struct jrc_engine *engine = s->all->engine;
    size_t len;
    const char *bytes = jrc_engine_output(engine, s->conn, &len);

    if (len == 0) {
        set_writing(s, false);
        return;
    }
    ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
        lose_after_reading(s, errno);
        return;
    }
    jrc_engine_sent(engine, s->conn, n < 0 ? 0 : (size_t)n, now_us);
    int error = set_writing(s, n < 0 || (size_t)n < len);
    if (error != 0)
        lose_after_reading(s, error);
}

void jrc_sockets_set_reading(struct jrc_sockets *sockets, bool reading)
{
    if (sockets->reading == reading)
        return;
    sockets->reading = reading;
    for (size_t i = 0; i < sockets->servers->count; i++) {
        struct jrc_socket *s = &sockets->list[i];
        if (!jrc_socket_is_connected(s))
            continue;
        int error = 0;
        set_patience(s);
        if (!reading)
            event_del(&s->read_event);
        else
            error = jrc_event_add(&s->read_event);
        if (error != 0)
            jrc_socket_lost(s, error);
    }
}

/* ---- attempts ---- */

/* Connecting to a free local port may connect the socket to itself. */
static bool is_self(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_len = sizeof here, there_len = sizeof there;

    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
           here_len == there_len && memcmp(&here, &there, here_len) == 0;
}

static void finish_connect(struct jrc_socket *s)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error == 0 && is_self(s->fd))
        error = ECONNREFUSED;
    set_writing(s, false);
    if (error == 0 && s->all->reading)
        error = jrc_event_add(&s->read_event);
    if (error != 0) {
        jrc_socket_try_next(s, error);
        return;
    }
    if (!s->all->reading)
        set_patience(s);
    forget_addresses(s);
    jrc_engine_opened(s->all->engine, s->conn, jrc_now_us());
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_socket *s = arg;

    (void)fd;
    (void)what;
    jrc_stay_awake(s->all);
    if (jrc_socket_is_connected(s))
        jrc_socket_flush(s, jrc_now_us());
    else if (s->fd >= 0 && server_of(s)->state == JRC_SERVER_CONNECTING)
        finish_connect(s);
}

/* Begin to connect; 0 or an errno. */
static int begin(struct jrc_socket *s, const struct addrinfo *address)
{
    struct jrc_sockets *sockets = s->all;
    int error = open_fd(s, address->ai_family);

    if (error != 0)
        return error;
    tune(s->fd);
    if (connect(s->fd, address->ai_addr, address->ai_addrlen) != 0 &&
        errno != EINPROGRESS)
        return errno;
    if (event_assign(&s->read_event, sockets->base, s->fd, EV_READ | EV_PERSIST,
                     on_readable, s) != 0 ||
        event_assign(&s->write_event, sockets->base, s->fd,
                     EV_WRITE | EV_PERSIST, on_writable, s) != 0)
        return EINVAL;
    return set_writing(s, true);
}

/* Try the addresses that are left, one after the other; reason says what was
 * wrong with the one before. */
void jrc_socket_try_next(struct jrc_socket *s, int32_t reason)
{
    shut(s);
    while (s->next != NULL) {
        const struct addrinfo *address = s->next;
        s->next = address->ai_next;
        reason = begin(s, address);
        if (reason == 0) {
            jrc_engine_connecting(s->all->engine, s->conn, jrc_now_us());
            return;
        }
        set_fd(s, -1);
    }
    jrc_socket_lost(s, reason);
}

static void use_addresses(struct jrc_socket *s, struct addrinfo *list)
{
    forget_addresses(s);
    s->addresses = s->next = list;
    jrc_socket_try_next(s, JSONRPCC_RESOLVE);
}

void jrc_socket_attempt(struct jrc_socket *s, uint64_t now_us)
{
    struct jrc_sockets *sockets = s->all;
    const struct jrc_server *server = server_of(s);
    struct addrinfo *list = jrc_resolver_numeric(server->host, server->port);

    if (list != NULL) {
        use_addresses(s, list);
        return;
    }
    if (s->next != NULL) {
        jrc_socket_try_next(s, JSONRPCC_RESOLVE);
        return;
    }
    jrc_engine_connecting(sockets->engine, s->conn, now_us);
    if (s->resolving)
        return; /* the answer to the attempt before will do */
    int error = jrc_resolver_ask(sockets->resolver, s->conn, server->host,
                                 server->port);
    s->resolving = error == 0;
    if (error != 0)
        jrc_socket_lost(s, error);
}

/* Why a look-up has no addresses. */
static int32_t reason_of(int error)
{
    if (error > 0)
        return error;
    return JSONRPCC_RESOLVE + (error < 0 ? error : EAI_FAIL);
}

void jrc_sockets_take_answers(struct jrc_sockets *sockets)
{
    struct addrinfo *list;
    uint32_t conn;
    int error;

    while (jrc_resolver_take(sockets->resolver, &conn, &list, &error)) {
        struct jrc_socket *s = &sockets->list[conn];
        bool wanted =
            sockets->servers->list[conn].state == JRC_SERVER_CONNECTING;
        s->resolving = false;
        if (wanted && list != NULL)
            use_addresses(s, list);
        else if (wanted)
            jrc_socket_lost(s, reason_of(error));
        else if (list != NULL && s->fd < 0 && s->addresses == NULL)
            s->addresses = s->next = list; /* late: for the next attempt */
        else if (list != NULL)
            freeaddrinfo(list);
    }
}
