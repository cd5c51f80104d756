/* A loop whose transport is TLS, and the server's end of its one connection,
 * both in this thread.  The program that uses it defines send() by
 * tls_rig_send(), so that a test can say how much the kernel takes. */

#ifndef TLS_RIG_H
#define TLS_RIG_H

#include "io/loop.h"
#include "io/transport_tls.h"
#include "rig.h"
#include "tls_end.h"

#include <sys/types.h>

enum { TLS_RIG_FRAME = 44 };

struct tls_rig {
    struct rig rig;
    struct jrc_loop *loop;
    struct jrc_tls_context *context;
    struct jrc_tls *tls;
    int listener;
    SSL_CTX *server; /* for the ends to come; NULL: they do nothing */
    struct tls_end end;
    bool has_end;
    size_t receives, sends; /* what its ends may, at first */
    bool waits;             /* for events; otherwise it only looks */
    size_t quota;           /* bytes that the kernel still takes from us */
};

extern struct tls_rig tls_rig;
extern struct identity tls_ca, tls_good; /* made by tls_rig_begin() */

/* Once for the program: an authority "ca" and a certificate "good" for
 * 127.0.0.1. */
void tls_rig_begin(void);
void tls_rig_end(void);

/* A client that trusts "ca" unless told otherwise; NULL: the default. */
void tls_rig_open(const jsonrpcc_tls *options, SSL_CTX *server);
void tls_rig_close(void);

/* All sides do what there is to do. */
void tls_rig_turn(void);

/* Take turns until that is so, for some seconds; returns whether it is. */
bool tls_rig_await(bool (*is)(void));
bool tls_rig_await_state(enum jrc_server_state state);
bool tls_rig_await_failures(uint64_t failures);
bool tls_rig_await_outcome(uint64_t token);

/* The end writes a response to that call. */
void tls_rig_answer(uint64_t id);

/* How many whole frames the end has received. */
size_t tls_rig_frames(void);

ssize_t tls_rig_send(int fd, const void *buf, size_t len, int flags);

#define TLS_RIG_DEFINES_SEND                                     \
    ssize_t send(int fd, const void *buf, size_t len, int flags) \
    {                                                            \
        return tls_rig_send(fd, buf, len, flags);                \
    }

#endif
