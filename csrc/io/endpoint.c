#include "io/endpoint.h"

#include "wire/unix_path.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

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

static int look_up(const char *host, uint16_t port, int family, int flags,
                   struct jrc_endpoint **list)
{
    struct addrinfo hints = {
        .ai_family = family,
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

int jrc_endpoints_find(const char *host, uint16_t port, int family,
                       struct jrc_endpoint **list)
{
    return look_up(host, port, family, 0, list);
}

/* The kernel tells an abstract name from a path by its first byte, NUL, and its
 * end by the size. */
static struct jrc_endpoint *unix_endpoint(const char *text)
{
    struct jrc_endpoint *endpoint = calloc(1, sizeof *endpoint);
    struct sockaddr_un *address = (void *)&endpoint->address;
    struct jrc_unix_path path;
    const char *at, *rule;

    if (endpoint == NULL ||
        jrc_unix_path_read(&path, text, &at, &rule) == NULL) {
        free(endpoint);
        return NULL;
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + path.is_abstract, path.bytes, path.len);
    endpoint->size = (socklen_t)(sizeof address->sun_family + 1 + path.len);
    return endpoint;
}

struct jrc_endpoint *jrc_endpoints_numeric(const char *host, uint16_t port)
{
    struct jrc_endpoint *list = NULL;

    if (port == 0)
        return unix_endpoint(host);
    return look_up(host, port, AF_UNSPEC, AI_NUMERICHOST, &list) == 0 ? list
                                                                      : NULL;
}

void jrc_endpoints_free(struct jrc_endpoint *list)
{
    while (list != NULL) {
        struct jrc_endpoint *next = list->next;
        free(list);
        list = next;
    }
}

void jrc_endpoint_print_host(const struct jrc_endpoint *endpoint,
                             char text[JRC_ENDPOINT_HOST])
{
    text[0] = '\0';
    getnameinfo((const struct sockaddr *)&endpoint->address, endpoint->size,
                text, JRC_ENDPOINT_HOST, NULL, 0, NI_NUMERICHOST);
}

static void print_unix(const struct jrc_endpoint *endpoint, char *text,
                       size_t size)
{
    const struct sockaddr_un *address = (const void *)&endpoint->address;
    struct jrc_unix_path path = {
        .is_abstract = address->sun_path[0] == '\0',
        .len = endpoint->size - sizeof address->sun_family - 1,
    };
    char all[JRC_UNIX_TEXT_SIZE];

    memcpy(path.bytes, address->sun_path + path.is_abstract, path.len);
    jrc_unix_path_print(&path, all);
    snprintf(text, size, "%s", all);
}

void jrc_endpoint_print(const struct jrc_endpoint *endpoint, char *text,
                        size_t size)
{
    if (endpoint->address.ss_family == AF_UNIX) {
        print_unix(endpoint, text, size);
        return;
    }
    const char *format =
        endpoint->address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

    getnameinfo((const struct sockaddr *)&endpoint->address, endpoint->size,
                host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, size, format, host, port);
}
