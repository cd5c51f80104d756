#include "io/socket.h"

#include "io/event_base.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

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

void jrc_socket_set_fd(struct jrc_socket *s, int fd)
{
    pthread_mutex_lock(&s->all->fd_lock);
    if (s->stream.fd >= 0)
        close(s->stream.fd);
    s->stream.fd = fd;
    pthread_mutex_unlock(&s->all->fd_lock);
}

int jrc_socket_open(struct jrc_socket *s, int family)
{
    pthread_mutex_lock(&s->all->fd_lock);
    s->stream.fd =
        socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = s->stream.fd < 0 ? errno : 0;
    pthread_mutex_unlock(&s->all->fd_lock);
    return error;
}

void jrc_socket_close(struct jrc_socket *s)
{
    if (s->stream.fd < 0)
        return;
    event_del(&s->read_event);
    event_del(&s->write_event);
    s->writing = false;
    s->stream.transport->close(&s->stream);
    jrc_socket_set_fd(s, -1);
}

int jrc_socket_set_writing(struct jrc_socket *s, bool writing)
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
