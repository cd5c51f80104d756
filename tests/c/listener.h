/* A listening socket, for tests that are their own peer. */

#ifndef LISTENER_H
#define LISTENER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A listener on a free port of 127.0.0.1, and the servers string for it. */
static inline int listen_somewhere(char *servers, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        abort();
    snprintf(servers, size, "127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

#endif
