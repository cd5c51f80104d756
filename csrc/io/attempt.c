#include "io/attempt.h"

#include "engine/names.h"
#include "io/clock.h"
#include "io/event_base.h"
#include "io/transport_given.h"
#include "io/transport_unix.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

static void forget_endpoints(struct jrc_socket *s)
{
    jrc_endpoints_free(s->endpoints);
    s->endpoints = s->next = NULL;
}

void jrc_socket_shut(struct jrc_socket *s)
{
    jrc_socket_close(s);
    forget_endpoints(s);
}

/* No address is left. */
static void give_up(struct jrc_socket *s, int32_t reason)
{
    jrc_socket_shut(s);
    jrc_engine_lost(s->all->engine, s->conn, reason, jrc_now_us());
}

/* Until its hello is answered, an attempt is not over. */
void jrc_socket_lost(struct jrc_socket *s, int32_t reason)
{
    if (jrc_socket_state(s) == JRC_SERVER_GREETING)
        jrc_socket_try_next(s, reason);
    else
        give_up(s, reason);
}

/* Have the transport continue when its descriptor is ready.  0 or an errno. */
static int wait_for(struct jrc_socket *s, short want)
{
    int error = jrc_socket_set_writing(s, (want & EV_WRITE) != 0);

    if ((want & EV_READ) == 0)
        event_del(&s->read_event);
    else if (error == 0)
        error = jrc_event_add(&s->read_event);
    return error;
}

bool jrc_socket_go_on(struct jrc_socket *s)
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
        return false;
    }
    if (!done)
        return false;
    if (!reading)
        transport->set_patient(&s->stream, true);
    jrc_engine_opened(s->all->engine, s->conn, jrc_now_us());
    if (jrc_socket_state(s) != JRC_SERVER_GREETING)
        forget_endpoints(s);
    return true;
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
    const struct jrc_server *server = jrc_socket_server(s);
    const char *name = jrc_names_domain(s->all->engine, server->name);

    if (name != NULL)
        return name;
    /* As the list has it now: it may have been found by a name before. */
    return jrc_entry_address(
        &(struct jrc_entry){.host = server->host, .port = server->port});
}

/* Begin to connect the new descriptor; endpoint is NULL for one that is
 * connected.  0; or why that failed, and then the socket is shut. */
static int32_t connect_fd(struct jrc_socket *s,
                          const struct jrc_endpoint *endpoint)
{
    struct jrc_sockets *sockets = s->all;
    int32_t reason;

    s->stream.transport =
        endpoint != NULL ? transport_to(s, endpoint) : &jrc_given_transport;
    reason = s->stream.transport->connect(&s->stream, endpoint, identity_of(s));
    if (reason != 0) {
        jrc_socket_set_fd(s, -1);
        return reason;
    }
    if (event_assign(&s->read_event, sockets->base, s->stream.fd,
                     EV_READ | EV_PERSIST, sockets->on_ready, s) != 0 ||
        event_assign(&s->write_event, sockets->base, s->stream.fd,
                     EV_WRITE | EV_PERSIST, sockets->on_ready, s) != 0)
        reason = EINVAL;
    else
        reason = jrc_socket_set_writing(s, true);
    if (reason != 0)
        jrc_socket_close(s);
    return reason;
}

static int32_t begin(struct jrc_socket *s, const struct jrc_endpoint *endpoint)
{
    int32_t reason = jrc_socket_open(s, endpoint->address.ss_family);

    return reason != 0 ? reason : connect_fd(s, endpoint);
}

/* The connection exists already, and there is only one. */
static void use_given(struct jrc_socket *s)
{
    int32_t reason = JSONRPCC_SOCKET_SPENT;

    pthread_mutex_lock(&s->all->fd_lock);
    s->stream.fd = jrc_given_take(&s->all->given, jrc_socket_server(s)->host);
    pthread_mutex_unlock(&s->all->fd_lock);
    if (s->stream.fd >= 0)
        reason = connect_fd(s, NULL);
    if (reason != 0)
        jrc_socket_lost(s, reason);
    else
        jrc_engine_connecting(s->all->engine, s->conn, jrc_now_us());
}

/* Try the remaining endpoints in turn; reason says what was wrong with the
 * previous one. */
void jrc_socket_try_next(struct jrc_socket *s, int32_t reason)
{
    jrc_socket_close(s);
    while (s->next != NULL) {
        const struct jrc_endpoint *endpoint = s->next;
        s->next = endpoint->next;
        reason = begin(s, endpoint);
        if (reason == 0) {
            jrc_engine_connecting(s->all->engine, s->conn, jrc_now_us());
            return;
        }
    }
    give_up(s, reason);
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
    const struct jrc_server *server = jrc_socket_server(s);

    if (server->once) {
        use_given(s);
        return;
    }
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
    const struct jrc_server *server = jrc_socket_server(s);
    bool wanted = jrc_socket_state(s) == JRC_SERVER_CONNECTING;

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
