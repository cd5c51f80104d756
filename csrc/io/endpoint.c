#include "io/endpoint.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0, or ENOMEM, and then there is no list. */
static int copy(const struct addrinfo *found, struct jrc_endpoint **list)
{
    struct jrc_endpoint **last = list;

    *list = NULL;
    for (; found != NULL; found = found->ai_next) {
        if (found->ai_addrlen > sizeof(*last)->address)
            continue;
        *last = calloc(1, sizeof **last);
        if (*last == NULL) {
            jrc_endpoints_free(*list);
            *list = NULL;
            return ENOMEM;
        }
        memcpy(&(*last)->address, found->ai_addr, found->ai_addrlen);
        (*last)->size = found->ai_addrlen;
        last = &(*last)->next;
    }
    return 0;
}

static int look_up(const char *host, uint16_t port, int flags,
                   struct jrc_endpoint **list)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | flags,
    };
    struct addrinfo *found = NULL;
    char text[6];

    snprintf(text, sizeof text, "%u", port);
    int error = getaddrinfo(host, text, &hints, &found);
    if (error != 0)
        return error == EAI_SYSTEM ? errno : error;
    error = copy(found, list);
    freeaddrinfo(found);
    return error;
}

int jrc_endpoints_find(const char *host, uint16_t port,
                       struct jrc_endpoint **list)
{
    return look_up(host, port, 0, list);
}

struct jrc_endpoint *jrc_endpoints_numeric(const char *host, uint16_t port)
{
    struct jrc_endpoint *list = NULL;

    return look_up(host, port, AI_NUMERICHOST, &list) == 0 ? list : NULL;
}

void jrc_endpoints_free(struct jrc_endpoint *list)
{
    while (list != NULL) {
        struct jrc_endpoint *next = list->next;
        free(list);
        list = next;
    }
}

void jrc_endpoint_print(const struct jrc_endpoint *endpoint, char *text,
                        size_t size)
{
    const char *format =
        endpoint->address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

    getnameinfo((const struct sockaddr *)&endpoint->address, endpoint->size,
                host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, size, format, host, port);
}
