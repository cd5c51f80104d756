/* Where a connection goes to, and how that is written: the address of a TCP
 * port.  Nothing outside knows what the system calls use. */

#ifndef JRC_ENDPOINT_H
#define JRC_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct jrc_endpoint {
    struct jrc_endpoint *next; /* to be tried after this one; or NULL */
    struct sockaddr_storage address;
    socklen_t size;
};

/* Ask the system, by getaddrinfo(), for all endpoints of a host, in the order
 * in which they are to be tried.  It may hang for minutes.  0 and a list, the
 * caller's; or an EAI_ code, which is negative, or an errno. */
int jrc_endpoints_find(const char *host, uint16_t port,
                       struct jrc_endpoint **list);

/* The same for a host that needs no look-up, at once.  NULL: it needs one. */
struct jrc_endpoint *jrc_endpoints_numeric(const char *host, uint16_t port);

/* All of a list; NULL will do. */
void jrc_endpoints_free(struct jrc_endpoint *list);

/* As users write it, in text[0..size), NUL-terminated and cut if it must be. */
void jrc_endpoint_print(const struct jrc_endpoint *endpoint, char *text,
                        size_t size);

#endif
