/* Where a connection goes, and how to write that: the address of a TCP port, or
 * a Unix socket.  Only this file and the transports know what the system calls
 * use. */

#ifndef JRC_ENDPOINT_H
#define JRC_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct jrc_endpoint {
    struct jrc_endpoint *next; /* the one to try after this, or NULL */
    struct sockaddr_storage address;
    socklen_t size;
};

/* Ask the system, with getaddrinfo(), for all endpoints of a host, in the order
 * in which to try them.  This may hang for minutes.  Returns 0 and a list that
 * the caller owns; or an EAI_ code, which is negative; or an errno. */
int jrc_endpoints_find(const char *host, uint16_t port, int family,
                       struct jrc_endpoint **list);

/* The same without a lookup, for a numeric host or, with port 0, the text of a
 * Unix socket.  NULL: the host needs a lookup, or there is no memory. */
struct jrc_endpoint *jrc_endpoints_numeric(const char *host, uint16_t port);

/* Free all of a list; NULL is ignored. */
void jrc_endpoints_free(struct jrc_endpoint *list);

enum { JRC_ENDPOINT_HOST = 80 };

/* The numeric address of a TCP port, NUL-terminated. */
void jrc_endpoint_print_host(const struct jrc_endpoint *endpoint,
                             char text[JRC_ENDPOINT_HOST]);

/* Write it as users would into text[0..size), NUL-terminated, truncated if
 * necessary. */
void jrc_endpoint_print(const struct jrc_endpoint *endpoint, char *text,
                        size_t size);

#endif
