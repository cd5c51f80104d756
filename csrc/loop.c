#include "loop.h"

#include "resolver.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A peer that is gone without a word is found out after 10 + 3 * 5 seconds
 * when idle, and when it leaves data unacknowledged for 15. */
enum { KEEPALIVE_IDLE_S = 10, KEEPALIVE_INTERVAL_S = 5, KEEPALIVE_COUNT = 3 };
enum { USER_TIMEOUT_MS = 15000 };

/* What is read at most from a socket that is being given up. */
enum { LAST_READS = 64 };

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
    int epoll_fd; /* libevent's, or -1 */
    _Atomic uint64_t wakeups;
    atomic_bool asleep; /* a write to wake_fd is needed, and will do */
    bool reading;
    bool woken; /* the eventfd was read: there may be an answer */
    pthread_mutex_t fd_lock;
    struct jrc_socket sockets[];
};

uint64_t jrc_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- descriptors ---- */

/* Nobody needs to wake us any more: first thing in every event callback. */
static void stay_awake(struct jrc_loop *loop)
{
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
}

static void set_fd(struct jrc_socket *s, int fd)
{
    pthread_mutex_lock(&s->loop->fd_lock);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    pthread_mutex_unlock(&s->loop->fd_lock);
}

/* A socket that fork() can not catch half-opened. */
static int open_fd(struct jrc_socket *s, int family)
{
    pthread_mutex_lock(&s->loop->fd_lock);
    s->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = s->fd < 0 ? errno : 0;
    pthread_mutex_unlock(&s->loop->fd_lock);
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

static void shut(struct jrc_socket *s)
{
    if (s->fd < 0)
        return;
    event_del(&s->read_event);
    event_del(&s->write_event);
    s->connected = s->writing = false;
    set_fd(s, -1);
}

static void forget_addresses(struct jrc_socket *s)
{
    if (s->addresses != NULL)
        freeaddrinfo(s->addresses);
    s->addresses = s->next = NULL;
}

/* False: out of memory; nobody would tell when the socket can be written to. */
static bool set_writing(struct jrc_socket *s, bool writing)
{
    if (s->writing == writing)
        return true;
    if (!writing)
        event_del(&s->write_event);
    else if (event_add(&s->write_event, NULL) != 0)
        return false;
    s->writing = writing;
    return true;
}

/* The connection, or the whole attempt, is over. */
static void lost(struct jrc_socket *s, int32_t reason)
{
    shut(s);
    forget_addresses(s);
    jrc_engine_lost(s->loop->engine, s->conn, reason, jrc_now_us());
}

/* ---- established connections ---- */

/* Receive once.  False: the connection is over, or out of memory. */
static bool receive(struct jrc_socket *s, int32_t *reason)
{
    struct jrc_engine *engine = s->loop->engine;
    size_t room;
    char *space = jrc_engine_space(engine, s->conn, &room);

    if (space == NULL) {
        *reason = ENOMEM;
        return false;
    }
    ssize_t n = recv(s->fd, space, room, MSG_DONTWAIT);
    if (n > 0) {
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
    stay_awake(s->loop);
    if (s->connected && !receive(s, &reason))
        lost(s, reason);
}

/* A send failed: responses that came before are still in the kernel. */
static void lose_after_reading(struct jrc_socket *s, int32_t reason)
{
    int32_t ignored;
    uint32_t dropped = s->loop->engine->conns[s->conn].todo & JRC_SHUT;

    for (int i = 0; i < LAST_READS && dropped == 0; i++) {
        char probe;
        if (recv(s->fd, &probe, 1, MSG_DONTWAIT | MSG_PEEK) <= 0 ||
            !receive(s, &ignored))
            break;
        dropped = s->loop->engine->conns[s->conn].todo & JRC_SHUT;
    }
    if (dropped == 0)
        lost(s, reason);
}

static void flush_output(struct jrc_socket *s, uint64_t now_us)
{
    struct jrc_engine *engine = s->loop->engine;
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
    if (!set_writing(s, n < 0 || (size_t)n < len))
        lose_after_reading(s, ENOMEM);
}

/* ---- attempts ---- */

static void try_next_address(struct jrc_socket *s, int32_t reason);

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
    if (error == 0 && s->loop->reading && event_add(&s->read_event, NULL) != 0)
        error = ENOMEM;
    if (error != 0) {
        try_next_address(s, error);
        return;
    }
    s->connected = true;
    forget_addresses(s);
    jrc_engine_opened(s->loop->engine, s->conn, jrc_now_us());
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_socket *s = arg;

    (void)fd;
    (void)what;
    stay_awake(s->loop);
    if (s->fd < 0)
        return;
    if (s->connected)
        flush_output(s, jrc_now_us());
    else
        finish_connect(s);
}

/* Begin to connect; 0 or an errno. */
static int begin(struct jrc_socket *s, const struct addrinfo *address)
{
    struct jrc_loop *loop = s->loop;
    int error = open_fd(s, address->ai_family);

    if (error != 0)
        return error;
    tune(s->fd);
    if (connect(s->fd, address->ai_addr, address->ai_addrlen) != 0 &&
        errno != EINPROGRESS)
        return errno;
    if (event_assign(&s->read_event, loop->base, s->fd, EV_READ | EV_PERSIST,
                     on_readable, s) != 0 ||
        event_assign(&s->write_event, loop->base, s->fd, EV_WRITE | EV_PERSIST,
                     on_writable, s) != 0 ||
        event_add(&s->write_event, NULL) != 0)
        return ENOMEM;
    s->writing = true;
    return 0;
}

/* Try the addresses that are left, one after the other; reason says what was
 * wrong with the one before. */
static void try_next_address(struct jrc_socket *s, int32_t reason)
{
    shut(s);
    while (s->next != NULL) {
        const struct addrinfo *address = s->next;
        s->next = address->ai_next;
        reason = begin(s, address);
        if (reason == 0) {
            jrc_engine_connecting(s->loop->engine, s->conn, jrc_now_us());
            return;
        }
        set_fd(s, -1);
    }
    lost(s, reason);
}

static void use_addresses(struct jrc_socket *s, struct addrinfo *list)
{
    forget_addresses(s);
    s->addresses = s->next = list;
    try_next_address(s, JSONRPCC_RESOLVE);
}

static void start_attempt(struct jrc_socket *s, uint64_t now_us)
{
    struct jrc_loop *loop = s->loop;
    const struct jrc_server *server = &loop->servers->list[s->conn];
    struct addrinfo *list = jrc_resolver_numeric(server->host, server->port);

    if (list != NULL) {
        use_addresses(s, list);
        return;
    }
    if (s->next != NULL) {
        try_next_address(s, JSONRPCC_RESOLVE);
        return;
    }
    jrc_engine_connecting(loop->engine, s->conn, now_us);
    if (s->resolving)
        return; /* the answer to the attempt before will do */
    s->resolving =
        jrc_resolver_ask(loop->resolver, s->conn, server->host, server->port);
    if (!s->resolving)
        lost(s, ENOMEM);
}

static void take_answers(struct jrc_loop *loop)
{
    struct addrinfo *list;
    uint32_t conn;
    int error;

    while (jrc_resolver_take(loop->resolver, &conn, &list, &error)) {
        struct jrc_socket *s = &loop->sockets[conn];
        bool wanted = loop->servers->list[conn].state == JRC_SERVER_CONNECTING;
        s->resolving = false;
        if (wanted && list != NULL)
            use_addresses(s, list);
        else if (wanted)
            lost(s, JSONRPCC_RESOLVE + (error < 0 ? error : EAI_FAIL));
        else if (list != NULL && s->fd < 0 && s->addresses == NULL)
            s->addresses = s->next = list; /* late: for the next attempt */
        else if (list != NULL)
            freeaddrinfo(list);
    }
}

/* ---- the loop ---- */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_loop *loop = arg;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    loop->woken = true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_loop *loop = arg;

    (void)fd;
    (void)what;
    loop->timer_us = JRC_NEVER;
}

static bool start_base(struct jrc_loop *loop)
{
    struct event_config *config = event_config_new();

    if (config == NULL)
        return false;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (loop->base == NULL)
        return false;
    /* Added once, the timer has its place in libevent's heap for good: no
     * deadline is missed for want of memory. */
    return evtimer_assign(&loop->timer, loop->base, on_timer, loop) == 0 &&
           event_add(&loop->timer, &(struct timeval){.tv_sec = 1}) == 0 &&
           event_del(&loop->timer) == 0 &&
           event_assign(&loop->wake_event, loop->base, loop->wake_fd,
                        EV_READ | EV_PERSIST, on_wake, loop) == 0 &&
           event_add(&loop->wake_event, NULL) == 0;
}

/* Whether fd is the epoll descriptor that watches wake_fd. */
static bool watches(int fd, int wake_fd)
{
    char path[64], line[128], wanted[32];
    bool found = false;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    snprintf(wanted, sizeof wanted, "tfd: %8d ", wake_fd);
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strncmp(line, wanted, strlen(wanted)) == 0;
    if (file != NULL)
        fclose(file);
    return found;
}

/* libevent does not tell its epoll descriptor, and a forked child should close
 * its copy: /proc knows.  It was made just after wake_fd, so it is near.  Not
 * found, the child's copy stays open, and idle, until exec or exit. */
static int find_epoll(int wake_fd)
{
    for (int distance = 1; distance < 64; distance++) {
        if (watches(wake_fd + distance, wake_fd))
            return wake_fd + distance;
        if (wake_fd > distance && watches(wake_fd - distance, wake_fd))
            return wake_fd - distance;
    }
    return -1;
}

struct jrc_loop *jrc_loop_new(struct jrc_engine *engine,
                              const struct jrc_servers *servers)
{
    struct jrc_loop *loop =
        calloc(1, sizeof *loop + servers->count * sizeof loop->sockets[0]);

    if (loop == NULL)
        return NULL;
    loop->engine = engine;
    loop->servers = servers;
    loop->reading = true;
    loop->timer_us = JRC_NEVER;
    loop->epoll_fd = -1;
    pthread_mutex_init(&loop->fd_lock, NULL);
    for (size_t i = 0; i < servers->count; i++) {
        loop->sockets[i].loop = loop;
        loop->sockets[i].conn = (uint32_t)i;
        loop->sockets[i].fd = -1;
    }
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->resolver = jrc_resolver_new(loop->wake_fd);
    if (loop->wake_fd >= 0 && loop->resolver != NULL && start_base(loop)) {
        loop->epoll_fd = find_epoll(loop->wake_fd);
        return loop;
    }
    jrc_loop_free(loop);
    return NULL;
}

void jrc_loop_close(struct jrc_loop *loop)
{
    for (size_t i = 0; i < loop->servers->count; i++) {
        shut(&loop->sockets[i]);
        forget_addresses(&loop->sockets[i]);
    }
    jrc_resolver_free(loop->resolver);
    loop->resolver = NULL;
    if (loop->base == NULL)
        return;
    if (event_initialized(&loop->wake_event))
        event_del(&loop->wake_event);
    if (event_initialized(&loop->timer))
        event_del(&loop->timer);
    pthread_mutex_lock(&loop->fd_lock);
    event_base_free(loop->base);
    loop->epoll_fd = -1;
    pthread_mutex_unlock(&loop->fd_lock);
    loop->base = NULL;
}

void jrc_loop_free(struct jrc_loop *loop)
{
    if (loop == NULL)
        return;
    jrc_loop_close(loop);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    pthread_mutex_destroy(&loop->fd_lock);
    free(loop);
}

void jrc_loop_act(struct jrc_loop *loop, uint64_t now_us)
{
    struct jrc_action action;

    while (jrc_engine_next(loop->engine, &action)) {
        struct jrc_socket *s = &loop->sockets[action.conn];
        switch (action.todo) {
        case JRC_OPEN:
            start_attempt(s, now_us);
            break;
        case JRC_NEXT_ADDRESS:
            try_next_address(s, JSONRPCC_CONNECT_TIMEOUT);
            break;
        case JRC_SHUT:
            shut(s);
            forget_addresses(s);
            break;
        default: /* JRC_WRITE; while writing the event does it */
            if (s->connected && !s->writing)
                flush_output(s, now_us);
        }
    }
}

/* Have the next wait end at until_us at the latest.  False: it is past. */
static bool set_timer(struct jrc_loop *loop, uint64_t until_us)
{
    if (until_us >= loop->timer_us && until_us != 0)
        return true; /* at worst we look once too early */
    uint64_t now_us = jrc_now_us();
    if (until_us <= now_us)
        return false;
    loop->timer_us = until_us;
    uint64_t us = until_us - now_us;
    struct timeval delay = {(time_t)(us / 1000000),
                            (suseconds_t)(us % 1000000)};
    event_add(&loop->timer, &delay);
    return true;
}

bool jrc_loop_poll(struct jrc_loop *loop, uint64_t until_us)
{
    int flags = EVLOOP_ONCE;
    bool woken;

    if (until_us != JRC_NEVER && !set_timer(loop, until_us))
        flags |= EVLOOP_NONBLOCK; /* alone it goes on while there is more */
    event_base_loop(loop->base, flags);
    stay_awake(loop);
    woken = loop->woken;
    loop->woken = false;
    if (woken)
        take_answers(loop);
    return woken;
}

int jrc_loop_fd(const struct jrc_loop *loop)
{
    return loop->epoll_fd;
}

void jrc_loop_set_asleep(struct jrc_loop *loop)
{
    atomic_store_explicit(&loop->asleep, true, memory_order_relaxed);
}

void jrc_loop_wake(struct jrc_loop *loop)
{
    /* Whoever turns it off writes: one write wakes for all. */
    if (!atomic_load_explicit(&loop->asleep, memory_order_relaxed) ||
        !atomic_exchange_explicit(&loop->asleep, false, memory_order_relaxed))
        return;
    atomic_fetch_add_explicit(&loop->wakeups, 1, memory_order_relaxed);
    (void)!write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

uint64_t jrc_loop_wakeups(const struct jrc_loop *loop)
{
    return jrc_read(&loop->wakeups);
}

void jrc_loop_set_reading(struct jrc_loop *loop, bool reading)
{
    if (loop->reading == reading)
        return;
    loop->reading = reading;
    for (size_t i = 0; i < loop->servers->count; i++) {
        struct jrc_socket *s = &loop->sockets[i];
        if (!s->connected)
            continue;
        if (!reading)
            event_del(&s->read_event);
        else if (event_add(&s->read_event, NULL) != 0)
            lost(s, ENOMEM);
    }
}

/* ---- fork ---- */

void jrc_loop_lock_fds(struct jrc_loop *loop)
{
    pthread_mutex_lock(&loop->fd_lock);
}

void jrc_loop_unlock_fds(struct jrc_loop *loop)
{
    pthread_mutex_unlock(&loop->fd_lock);
}

void jrc_loop_abandon(struct jrc_loop *loop)
{
    for (size_t i = 0; i < loop->servers->count; i++)
        if (loop->sockets[i].fd >= 0)
            close(loop->sockets[i].fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    close(loop->wake_fd);
}
