/* Connected sockets that the program gives to a client: "fd:7" in the servers
 * string.
 *
 * What is kept here are duplicates.  So the program may close its descriptor at
 * once and may not disturb us by that, and a number that is used again later
 * never stands for another socket. */

#ifndef JRC_GIVEN_H
#define JRC_GIVEN_H

#include <stdbool.h>
#include <stddef.h>

struct jrc_given_socket {
    int number; /* by which the program knows it */
    int fd;     /* our duplicate */
};

/* All zero: there are none. */
struct jrc_given {
    struct jrc_given_socket *list;
    size_t count;
};

/* Keep a duplicate of the descriptor that host, "fd:7", names; with tls, not
 * that of a TCP connection, which would not be secured.  0; ENOMEM; an errno of
 * dup(); or EINVAL, and then *rule says what the descriptor has to be. */
int jrc_given_add(struct jrc_given *given, const char *host, bool tls,
                  const char **rule);

/* The duplicate, which belongs to the caller from now on; -1: it was taken
 * before, or the client opened in another process. */
int jrc_given_take(struct jrc_given *given, const char *host);

/* Close all that have not been taken. */
void jrc_given_close(struct jrc_given *given);

/* Whether a connected socket is a TCP connection, which TLS could secure. */
bool jrc_given_is_tcp(int fd);

#endif
