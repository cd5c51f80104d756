/* The I/O side of the engine: sockets, addresses, one timer and one wake-up, on
 * libevent.  No JSON, no policy.
 *
 * One thread at a time uses a loop, except for jrc_loop_wake(), which any
 * thread may call.  libevent's own locking stays off, so nothing else may. */

#ifndef JRC_LOOP_H
#define JRC_LOOP_H

#include "engine/engine.h"
#include "io/given.h"
#include "io/transport.h"

#include <stdbool.h>
#include <stdint.h>

struct jrc_loop;

/* The loop borrows the engine, with its servers, and the transport.  NULL:
 * errno says why, and nothing is left behind. */
struct jrc_loop *jrc_loop_new(struct jrc_engine *engine,
                              const struct jrc_transport *transport);
void jrc_loop_free(struct jrc_loop *loop);

/* Before the first poll: take over the sockets that were given. */
void jrc_loop_give(struct jrc_loop *loop, struct jrc_given *given);

/* Close all descriptors for good.  jrc_loop_wake() may still be called. */
void jrc_loop_close(struct jrc_loop *loop);

/* Do everything the engine asks for. */
void jrc_loop_act(struct jrc_loop *loop, uint64_t now_us);

/* Wait until something happens, or until until_us (if that has passed, only
 * look), and report it to the engine.  True: jrc_loop_wake() ended the wait. */
bool jrc_loop_poll(struct jrc_loop *loop, uint64_t until_us);

/* Between polls: have the loop's descriptor become readable at until_us, or
 * somewhat sooner.  False: that has passed, or the system refused it. */
bool jrc_loop_set_timer(struct jrc_loop *loop, uint64_t until_us);

/* A descriptor that is readable when a poll would find something; -1 if there
 * is none. */
int jrc_loop_fd(const struct jrc_loop *loop);

/* Before a poll: from now on, other threads have to wake the loop.  The poll
 * resets this when it wakes, before any callback. */
void jrc_loop_set_asleep(struct jrc_loop *loop);

/* Any thread: make jrc_loop_poll() return, if it is asleep. */
void jrc_loop_wake(struct jrc_loop *loop);
uint64_t jrc_loop_wakeups(const struct jrc_loop *loop); /* so far */

/* Whether to read from the sockets. */
void jrc_loop_set_reading(struct jrc_loop *loop, bool reading);

/* Around fork(): no descriptor opens or closes while locked. */
void jrc_loop_lock_fds(struct jrc_loop *loop);
void jrc_loop_unlock_fds(struct jrc_loop *loop);

/* In a forked child, locked: close our copies of the descriptors and touch
 * nothing else, since libevent would remove the parent's from the shared
 * epoll. */
void jrc_loop_abandon(struct jrc_loop *loop);

#endif
