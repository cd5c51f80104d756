/* What lies between OpenSSL and the socket: two buffers of fixed size, of
 * ciphertext.  OpenSSL never touches a descriptor (its own write() could raise
 * SIGPIPE), and memory does not grow with what a peer sends. */

#ifndef JRC_TLS_BUFFERS_H
#define JRC_TLS_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    JRC_TLS_PLAIN = 16384, /* bytes of plaintext in a full record */
    JRC_TLS_IN = 32768,
    /* A full record, what TLS adds to it, and some messages of its own. */
    JRC_TLS_OUT = JRC_TLS_PLAIN + 2048
};

struct jrc_tls_buffers {
    size_t in_start, in_end, out_start, out_end;
    bool starved; /* OpenSSL has asked for more than there was */
    char in[JRC_TLS_IN], out[JRC_TLS_OUT];
};

struct bio_method_st;
struct bio_st;

/* How OpenSSL uses them.  NULL: out of memory. */
struct bio_method_st *jrc_tls_buffers_method(void);

/* A BIO for these buffers, which it borrows.  NULL: out of memory. */
struct bio_st *jrc_tls_buffers_bio(const struct bio_method_st *method,
                                   struct jrc_tls_buffers *buffers);

/* Whether a whole record lies in the input, which starts with one. */
bool jrc_tls_buffers_has_record(const struct jrc_tls_buffers *buffers);

/* Where to receive, and how much there is room for. */
char *jrc_tls_buffers_space(struct jrc_tls_buffers *buffers, size_t *room);

#endif
