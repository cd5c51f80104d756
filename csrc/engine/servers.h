/* The servers' states: backoff, proof and suspicion.  Which of them gets the
 * next call is for engine/rotation.h.
 *
 * Policy only: the clock (now_us, monotonic microseconds) and the dice are
 * arguments, so a test is arithmetic.  Not thread-safe; the engine owns it. */

#ifndef JRC_SERVERS_H
#define JRC_SERVERS_H

#include "engine/rotation.h"

/* Set the policy's numbers and allow the first attempts, of which each address
 * has connect_us. */
void jrc_servers_start(struct jrc_servers *servers, uint64_t base_us,
                       uint64_t cap_us, uint64_t connect_us,
                       int32_t max_attempts, uint64_t now_us);

/* A call found every server down: have this one tried again soon, at a random
 * moment, so that many clients do not connect at once.  However many calls ask,
 * there is at most one such attempt in JRC_ASKED_US.  Returns the time of the
 * next attempt (JRC_NEVER: none is planned). */
uint64_t jrc_servers_ask(struct jrc_servers *servers, size_t i, uint64_t now_us,
                         uint32_t dice);

/* A server that is in the list now, though it was not: at_us is the time of its
 * first attempt.  Or it is in the list no more; or its last call has ended.
 * jrc_servers_regroup() has to follow the first two. */
void jrc_servers_join(struct jrc_servers *servers, size_t i, uint64_t at_us,
                      uint64_t now_us);
void jrc_servers_leave(struct jrc_servers *servers, size_t i, uint64_t now_us);
void jrc_servers_gone(struct jrc_servers *servers, size_t i, uint64_t now_us);
void jrc_servers_regroup(struct jrc_servers *servers);

/* A server that the list has becomes a spare; or one that has become one, and
 * is still LEAVING, is in use again.  jrc_servers_regroup() has to follow. */
void jrc_servers_release(struct jrc_servers *servers, size_t i,
                         uint64_t now_us);
void jrc_servers_reclaim(struct jrc_servers *servers, size_t i,
                         uint64_t now_us);

/* What happened to a server. */
void jrc_servers_attempt(struct jrc_servers *servers, size_t i,
                         uint64_t now_us);
void jrc_servers_up(struct jrc_servers *servers, size_t i, uint64_t now_us);
/* The same, and its hello has been answered: it has nothing to prove, but for a
 * suspect, which may have its next trial at once. */
void jrc_servers_greeted(struct jrc_servers *servers, size_t i,
                         uint64_t now_us);
/* When to try again after so many failures in a row. */
uint64_t jrc_servers_retry_us(const struct jrc_servers *servers,
                              uint32_t failures, uint64_t now_us,
                              uint32_t dice);

/* One that is LEAVING is GONE then. */
void jrc_servers_down(struct jrc_servers *servers, size_t i, uint64_t now_us,
                      uint32_t dice);
/* Replace its connection at once; a suspect stays one.  False: no attempts are
 * left for that, and nothing has changed. */
bool jrc_servers_renew(struct jrc_servers *servers, size_t i, uint64_t now_us);
/* A trial has ended without a response, whatever the outcome of its call. */
void jrc_servers_tried(struct jrc_servers *servers, size_t i, uint64_t now_us);
/* A response has arrived, or the connection has proved itself in another way.
 * True: the server was on trial, and is now up. */
bool jrc_servers_answered(struct jrc_servers *servers, size_t i,
                          uint64_t now_us);
/* A call timed out; trial says whether it was one.  True: the server has just
 * become a suspect. */
bool jrc_servers_timed_out(struct jrc_servers *servers, size_t i,
                           uint64_t now_us, bool trial, uint32_t dice);

#endif
