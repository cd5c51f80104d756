/* Hellos and pings: what the engine itself says on a connection.
 *
 * A hello is part of the attempt to connect, and has its deadline.  A ping is
 * its first request once more, on a connection where nothing is in flight and
 * nothing has come for a while.  Internal to the engine, but for what the I/O
 * side has to know; times are monotonic microseconds. */

#ifndef JRC_GREETING_H
#define JRC_GREETING_H

#include "engine/state.h"
#include "wire/response.h"

/* Make this what connections say from the next one on; takes the reference
 * over.  NULL: nothing. */
void jrc_engine_set_hello(struct jrc_engine *engine, struct jrc_hello *hello);

/* Why the I/O side is to try the next address. */
int32_t jrc_greeting_reason(const struct jrc_engine *engine, uint32_t i);

/* A connection is established: begin the hello that there is. */
void jrc_greeting_begin(struct jrc_engine *engine, uint32_t i);

/* A connection gets calls from now on: think of pings. */
void jrc_greeting_end(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* The connection is gone, or another address is being tried: forget what was
 * said on it.  The caller sees to its output. */
void jrc_greeting_forget(struct jrc_engine *engine, uint32_t i);

/* The same, and its output and input as well. */
__attribute__((noinline, cold)) void jrc_greeting_drop(
    struct jrc_engine *engine, uint32_t i);

/* The hello has failed: the I/O side is to try the next address. */
__attribute__((noinline, cold)) void jrc_greeting_fail(
    struct jrc_engine *engine, uint32_t i, int32_t reason);

/* Whether a request of ours has begun to leave, and an error without an id can
 * be about nothing else. */
__attribute__((noinline, cold)) bool jrc_greeting_is_alone(
    const struct jrc_engine *engine, uint32_t i);

/* What a response that is for no call was for. */
enum jrc_heard {
    JRC_HEARD_OTHER, /* nothing of ours */
    JRC_HEARD,       /* a hello or a ping, and that is dealt with */
    JRC_HEARD_ALL    /* the last request of the hello: it is answered */
};

enum jrc_heard jrc_greeting_answer(struct jrc_engine *engine, uint32_t i,
                                   const struct jrc_response *response);

/* Whether the frame that has left was one of ours. */
__attribute__((noinline, cold)) bool jrc_greeting_commit(
    struct jrc_engine *engine, uint32_t i, uint64_t id);

/* The time for a hello is up. */
void jrc_greeting_late(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* We receive again: start all times anew. */
void jrc_greeting_resume(struct jrc_engine *engine, uint32_t i,
                         uint64_t now_us);

/* See to pings on a connection that gets calls, and when to do so again.  True:
 * one was in vain, and the connection is to be replaced. */
bool jrc_greeting_ping(struct jrc_engine *engine, uint32_t i, uint64_t now_us);
uint64_t jrc_greeting_due_us(const struct jrc_engine *engine, uint32_t i);

#endif
