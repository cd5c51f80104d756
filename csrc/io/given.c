#include "io/given.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The parser has seen to it that there is one. */
static int number_of(const char *host)
{
    return (int)strtol(host + strlen("fd:"), NULL, 10);
}

static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool jrc_given_is_tcp(int fd)
{
    int domain = option_of(fd, SO_DOMAIN);

    return domain == AF_INET || domain == AF_INET6;
}

/* What is wrong with it; NULL: nothing. */
static const char *fault_of(int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int type = option_of(fd, SO_TYPE);

    if (fcntl(fd, F_GETFD) < 0)
        return "an open descriptor is expected";
    if (type < 0)
        return "a socket is expected (a pipe is none, see socketpair())";
    if (type != SOCK_STREAM)
        return "a stream socket is expected";
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0)
        return "a connected socket is expected";
    return NULL;
}

int jrc_given_add(struct jrc_given *given, const char *host, bool tls,
                  const char **rule)
{
    int number = number_of(host);
    struct jrc_given_socket *list =
        reallocarray(given->list, given->count + 1, sizeof *list);

    if (list == NULL)
        return ENOMEM;
    given->list = list;
    *rule = fault_of(number);
    if (*rule == NULL && tls && jrc_given_is_tcp(number))
        *rule = "without TLS, or a Unix socket is expected";
    if (*rule != NULL)
        return EINVAL;
    int fd = fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    list[given->count++] = (struct jrc_given_socket){number, fd};
    return 0;
}

int jrc_given_take(struct jrc_given *given, const char *host)
{
    int fd = -1;

    for (size_t i = 0; i < given->count && fd < 0; i++) {
        if (given->list[i].number != number_of(host))
            continue;
        fd = given->list[i].fd;
        given->list[i] = given->list[--given->count];
    }
    return fd;
}

void jrc_given_close(struct jrc_given *given)
{
    for (size_t i = 0; i < given->count; i++)
        close(given->list[i].fd);
    given->count = 0;
    free(given->list);
    given->list = NULL;
}
