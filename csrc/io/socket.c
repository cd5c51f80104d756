#include "io/socket.h"

#include "engine/connection.h"
#include "engine/names.h"
#include "io/clock.h"
#include "io/event_base.h"
#include "io/transport_unix.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The most reads from a socket that is being abandoned. */
enum { LAST_READS = 64 };

/* How many times in a row a look at one socket may replace a poll of all. */
enum { MOST_LOOKS = 15 };

static const struct jrc_server *server_of(const struct jrc_socket *s)
{
    return &s->all->servers->list[s->conn];
}

struct jrc_socket *jrc_socket_of(struct jrc_sockets *sockets, uint32_t conn)
{
    struct jrc_socket *s = &sockets->list[conn];

    if (s->all != NULL)
        return s;
    pthread_mutex_lock(&sockets->fd_lock);
    s->stream.fd = -1;
    s->stream.conn = s->conn = conn;
    s->all = sockets;
    pthread_mutex_unlock(&sockets->fd_lock);
    return s;
}

bool jrc_socket_is_connected(const struct jrc_socket *s)
{
    return s->stream.fd >= 0 && jrc_server_is_connected(server_of(s));
}

static void set_fd(struct jrc_socket *s, int fd)
{
    pthread_mutex_lock(&s->all->fd_lock);
    if (s->stream.fd >= 0)
        close(s->stream.fd);
    s->stream.fd = fd;
    pthread_mutex_unlock(&s->all->fd_lock);
}

/* Open a socket that fork() cannot catch half open. */
static int open_fd(struct jrc_socket *s, int family)
{
    pthread_mutex_lock(&s->all->fd_lock);
    s->stream.fd =
        socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = s->stream.fd < 0 ? errno : 0;
    pthread_mutex_unlock(&s->all->fd_lock);
    return error;
}

static void shut(struct jrc_socket *s)
{
    if (s->stream.fd < 0)
        return;
    event_del(&s->read_event);
    event_del(&s->write_event);
    s->writing = false;
    s->stream.transport->close(&s->stream);
    set_fd(s, -1);
}

static void forget_endpoints(struct jrc_socket *s)
{
    jrc_endpoints_free(s->endpoints);
    s->endpoints = s->next = NULL;
}

void jrc_socket_shut(struct jrc_socket *s)
{
    shut(s);
    forget_endpoints(s);
}

/* 0, or an errno: nothing would report that the socket can be written to. */
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
             (reason = set_writing(s, true)) != 0)
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
        set_writing(s, false);
        return;
    }
    ssize_t n = transport->send(&s->stream, bytes, len, &reason);
    if (n < 0) {
        lose_after_reading(s, reason);
        return;
    }
    jrc_engine_sent(engine, s->conn, (size_t)n, now_us);
    jrc_engine_begun(engine, s->conn, transport->begun(&s->stream));
    reason =
        set_writing(s, (size_t)n < len || transport->has_output(&s->stream));
    if (reason != 0)
        lose_after_reading(s, reason);
}

void jrc_sockets_set_reading(struct jrc_sockets *sockets, bool reading)
{
    if (sockets->reading == reading)
        return;
    sockets->reading = reading;
    for (size_t i = 0; i < sockets->servers->count; i++) {
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

/* ---- attempts ---- */

/* Have the transport continue when its descriptor is ready.  0 or an errno. */
static int wait_for(struct jrc_socket *s, short want)
{
    int error = set_writing(s, (want & EV_WRITE) != 0);

    if ((want & EV_READ) == 0)
        event_del(&s->read_event);
    else if (error == 0)
        error = jrc_event_add(&s->read_event);
    return error;
}

static void go_on_connecting(struct jrc_socket *s)
{
    const struct jrc_transport *transport = s->stream.transport;
    bool reading = s->all->reading;
    short want = 0;
    int32_t reason = transport->handshake(&s->stream, &want);
    bool done = want == 0;

    if (done && reading)
        want = EV_READ;
    if (reason == 0)
        reason = wait_for(s, want);
    if (reason != 0) {
        jrc_socket_try_next(s, reason);
        return;
    }
    if (!done)
        return;
    if (!reading)
        transport->set_patient(&s->stream, true);
    forget_endpoints(s);
    jrc_engine_opened(s->all->engine, s->conn, jrc_now_us());
    if (reading && jrc_socket_is_connected(s) &&
        transport->has_input(&s->stream))
        receive_all(s); /* it came with the end of the handshake */
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_socket *s = arg;

    (void)fd;
    jrc_stay_awake(s->all);
    if (s->stream.fd < 0)
        return;
    if (server_of(s)->state == JRC_SERVER_CONNECTING)
        go_on_connecting(s);
    else if (!jrc_socket_is_connected(s))
        return; /* it is about to be shut */
    else if (what == EV_READ)
        receive_all(s);
    else
        jrc_socket_flush(s, jrc_now_us());
}

static const struct jrc_transport *transport_to(
    const struct jrc_socket *s, const struct jrc_endpoint *endpoint)
{
    return endpoint->address.ss_family == AF_UNIX ? &jrc_unix
                                                  : s->all->transport;
}

/* What the server has to prove that it is, where a transport asks for that:
 * what the user wrote, since an answer of DNS must not choose whom we trust. */
static const char *identity_of(struct jrc_socket *s)
{
    const struct jrc_server *server = server_of(s);
    const char *name = jrc_names_domain(s->all->engine, server->name);

    return name != NULL ? name : server->host;
}

/* Begin to connect.  0; or why that failed, and then the socket is shut. */
static int32_t begin(struct jrc_socket *s, const struct jrc_endpoint *endpoint)
{
    struct jrc_sockets *sockets = s->all;
    int32_t reason = open_fd(s, endpoint->address.ss_family);

    if (reason != 0)
        return reason;
    s->stream.transport = transport_to(s, endpoint);
    reason = s->stream.transport->connect(&s->stream, endpoint, identity_of(s));
    if (reason != 0) {
        set_fd(s, -1);
        return reason;
    }
    if (event_assign(&s->read_event, sockets->base, s->stream.fd,
                     EV_READ | EV_PERSIST, on_ready, s) != 0 ||
        event_assign(&s->write_event, sockets->base, s->stream.fd,
                     EV_WRITE | EV_PERSIST, on_ready, s) != 0)
        reason = EINVAL;
    else
        reason = set_writing(s, true);
    if (reason != 0)
        shut(s);
    return reason;
}

/* Try the remaining endpoints in turn; reason says what was wrong with the
 * previous one. */
void jrc_socket_try_next(struct jrc_socket *s, int32_t reason)
{
    shut(s);
    while (s->next != NULL) {
        const struct jrc_endpoint *endpoint = s->next;
        s->next = endpoint->next;
        reason = begin(s, endpoint);
        if (reason == 0) {
            jrc_engine_connecting(s->all->engine, s->conn, jrc_now_us());
            return;
        }
    }
    jrc_socket_lost(s, reason);
}

static void use_endpoints(struct jrc_socket *s, struct jrc_endpoint *list)
{
    forget_endpoints(s);
    s->endpoints = s->next = list;
    jrc_socket_try_next(s, JSONRPCC_RESOLVE);
}

/* 0 or an errno. */
static int ask_for_host(struct jrc_socket *s, const struct jrc_server *server)
{
    char host[256]; /* with a dot at its end, it is absolute */

    snprintf(host, sizeof host, "%s%s", server->host,
             server->is_absolute ? "." : "");
    return jrc_resolver_ask(s->all->resolver, JRC_ENTRY_SERVER, s->conn, host,
                            server->port);
}

void jrc_socket_attempt(struct jrc_socket *s, uint64_t now_us)
{
    struct jrc_sockets *sockets = s->all;
    const struct jrc_server *server = server_of(s);
    const struct jrc_entry address = {.host = server->host,
                                      .port = server->port};
    struct jrc_endpoint *list =
        jrc_endpoints_numeric(jrc_entry_address(&address), server->port);

    if (s->uses != server->uses)
        forget_endpoints(s);
    if (!s->resolving)
        s->uses = server->uses;
    if (list != NULL) {
        use_endpoints(s, list);
        return;
    }
    if (server->port == 0) {
        jrc_socket_lost(s, ENOMEM);
        return;
    }
    if (s->next != NULL) {
        jrc_socket_try_next(s, JSONRPCC_RESOLVE);
        return;
    }
    jrc_engine_connecting(sockets->engine, s->conn, now_us);
    if (s->resolving)
        return; /* the previous attempt's lookup will do */
    int error = ask_for_host(s, server);
    s->resolving = error == 0;
    if (error != 0)
        jrc_socket_lost(s, error);
}

/* Why a lookup found no endpoints. */
static int32_t reason_of(int error)
{
    if (error > 0)
        return error;
    return JSONRPCC_RESOLVE + (error < 0 ? error : EAI_FAIL);
}

static void take_endpoints(struct jrc_sockets *sockets,
                           const struct jrc_found *found)
{
    struct jrc_socket *s = jrc_socket_of(sockets, found->tag);
    const struct jrc_server *server = &sockets->servers->list[found->tag];
    bool wanted = server->state == JRC_SERVER_CONNECTING;

    s->resolving = false;
    if (s->uses != server->uses) { /* about the last server of the slot */
        jrc_endpoints_free(found->endpoints);
        if (wanted)
            jrc_socket_attempt(s, jrc_now_us());
        return;
    }
    if (wanted && found->endpoints != NULL)
        use_endpoints(s, found->endpoints);
    else if (wanted)
        jrc_socket_lost(s, reason_of(found->error));
    else if (found->endpoints != NULL && s->stream.fd < 0 &&
             s->endpoints == NULL)
        s->endpoints = s->next = found->endpoints; /* late: for the next one */
    else
        jrc_endpoints_free(found->endpoints);
}

void jrc_sockets_take_answers(struct jrc_sockets *sockets)
{
    struct jrc_found found;

    while (jrc_resolver_take(sockets->resolver, &found)) {
        if (found.kind == JRC_ENTRY_SERVER)
            take_endpoints(sockets, &found);
        else
            jrc_names_answer(sockets->engine, found.tag, &found.answer,
                             jrc_now_us());
    }
}

void jrc_sockets_look_up(struct jrc_sockets *sockets, uint64_t now_us)
{
    const struct jrc_name *name;

    while ((name = jrc_names_lookup(sockets->engine, now_us)) != NULL) {
        struct jrc_answer failed = {0};
        failed.reason =
            jrc_resolver_ask(sockets->resolver, name->entry->kind, name->id,
                             name->entry->host, name->entry->port);
        if (failed.reason != 0)
            jrc_names_answer(sockets->engine, name->id, &failed, now_us);
    }
}
