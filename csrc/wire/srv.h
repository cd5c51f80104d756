/* Answers of DNS to a question for SRV records (RFC 2782): bytes from a
 * network, so anything may be in them.  libc's ns_* functions find the records
 * and follow compressed names. */

#ifndef JRC_SRV_H
#define JRC_SRV_H

#include <stddef.h>
#include <stdint.h>

/* A message is not longer; an answer of DNS over TCP has a length of two bytes.
 */
enum { JRC_DNS_MESSAGE = 65535, JRC_SRV_TARGET = 254 };

struct jrc_srv {
    uint16_t priority; /* smaller ones first */
    uint16_t weight;
    uint16_t port;               /* not 0 */
    char target[JRC_SRV_TARGET]; /* of letters, digits, '.', '-' and '_';
                                    without the last dot */
};

enum jrc_srv_status {
    JRC_SRV_FOUND,
    JRC_SRV_NONE,   /* there is no such name, or it has no SRV record */
    JRC_SRV_CLOSED, /* the service is deliberately not available: target "." */
    JRC_SRV_BAD     /* no answer: an error of the server, cut short, malformed,
                       or without a single usable record */
};

/* Have take(arg, record) see each record that can be used, in the order of the
 * message.  With JRC_SRV_FOUND, *ttl_s is their least time to live; otherwise,
 * what was taken means nothing. */
enum jrc_srv_status jrc_srv_read(const unsigned char *message, size_t len,
                                 void (*take)(void *arg,
                                              const struct jrc_srv *record),
                                 void *arg, uint32_t *ttl_s);

#endif
