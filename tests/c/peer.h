/* A JSON-RPC server in a thread of the test program, on 127.0.0.1.
 *
 * The first element of a request's params is a number that the test never uses
 * twice; the peer remembers which ones it has read whole.  By method:
 *
 *   echo    the result is [number]
 *   big     the result is [number,"xxx..."], PEER_BIG bytes of x
 *   refuse  the error is {"code":-32000,"message":"no","data":number}
 *   mute    no response
 *   drop    the connection is closed
 *   once    closes the connection the first time, then as echo */

#ifndef PEER_H
#define PEER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_BIG = 150000, PEER_NUMBERS = 1 << 22, PEER_LINKS = 64 };

struct peer_link {
    int fd; /* -1: none */
    char *in, *out;
    size_t in_len, in_room, out_len, out_room;
};

struct peer {
    uint16_t port;
    int listener, stop_fd;
    pthread_t thread;
    void (*exempt)(bool);
    struct peer_link links[PEER_LINKS];
    _Atomic uint64_t frames;
    atomic_uint open; /* connections */
    sem_t running;
    atomic_uchar *seen; /* by number: how often, up to 255 */
};

/* exempt(true) is called first of all on the peer's thread, unless NULL.  It
 * returns when that thread waits for connections.  Aborts when it cannot
 * start. */
void peer_start(struct peer *peer, void (*exempt)(bool));
void peer_stop(struct peer *peer);

/* How often a request with this number was read whole. */
unsigned peer_saw(const struct peer *peer, uint64_t number);

/* Whether json is what the peer answers to method with number. */
bool peer_says(const char *method, uint64_t number, const char *json,
               size_t len);

#endif
