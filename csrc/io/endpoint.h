/* Where a connection goes to, and how that is written: the address of a TCP
 * port.  Only this file and transports know what the system calls use. */

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

/* Ask the system, with getaddrinfo(), for all endpoints of a host, in the order
 * in which they are to be tried.  It may hang for minutes.  Returns 0 and a
 * list, which the caller owns; or an EAI_ code, which is negative; or an errno.
 */
int jrc_endpoints_find(const char *host, uint16_t port,
                       struct jrc_endpoint **list);

/* The same for a numeric host, at once.  NULL: the host needs a look-up. */
struct jrc_endpoint *jrc_endpoints_numeric(const char *host, uint16_t port);

/* Free all of a list; NULL is ignored. */
void jrc_endpoints_free(struct jrc_endpoint *list);

/* As users write it, in text[0..size), NUL-terminated, truncated if necessary.
 */
void jrc_endpoint_print(const struct jrc_endpoint *endpoint, char *text,
                        size_t size);

#endif
