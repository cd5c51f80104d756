/* One connection: when it comes up or goes down, the bytes to send and those
 * sent, and the bytes received.
 *
 * The I/O side reports these to the engine.  Times are monotonic microseconds.
 */

#ifndef JRC_CONNECTION_H
#define JRC_CONNECTION_H

#include "engine/state.h"

/* An address is being tried: the connect timeout begins. */
void jrc_engine_connecting(struct jrc_engine *engine, uint32_t i,
                           uint64_t now_us);
/* It is connected; if there is a hello, that comes before calls. */
void jrc_engine_opened(struct jrc_engine *engine, uint32_t i, uint64_t now_us);
/* The attempt failed, or the connection is gone. */
void jrc_engine_lost(struct jrc_engine *engine, uint32_t i, int32_t reason,
                     uint64_t now_us);

/* Where to put received bytes, and a report that n of them arrived.  NULL: out
 * of memory. */
char *jrc_engine_space(struct jrc_engine *engine, uint32_t i, size_t *room);
void jrc_engine_received(struct jrc_engine *engine, uint32_t i, size_t n,
                         uint64_t now_us);

/* The bytes to send (*len may be 0), and a report that n of them were sent.  0:
 * the socket is full. */
const char *jrc_engine_output(struct jrc_engine *engine, uint32_t i,
                              size_t *len);
void jrc_engine_sent(struct jrc_engine *engine, uint32_t i, size_t n,
                     uint64_t now_us);

/* How many bytes, after those already sent, can no longer be held back although
 * the peer cannot read them yet, because they are encrypted.  0 at first. */
void jrc_engine_begun(struct jrc_engine *engine, uint32_t i, size_t n);

/* Of the bytes sent, so many wait in our own system, or the peer's has not
 * acknowledged them.  0: that is not known. */
void jrc_engine_held(struct jrc_engine *engine, uint32_t i, size_t n,
                     uint64_t now_us);

/* The connection is gone, and its server has changed state: handle the calls on
 * it.  Internal to the engine; part of jrc_engine_lost(). */
void jrc_engine_on_disconnect(struct jrc_engine *engine, uint32_t i,
                              bool was_up, int32_t reason, uint64_t now_us);

/* End a connection on our side.  Internal to the engine. */
void jrc_engine_drop(struct jrc_engine *engine, uint32_t i, int32_t reason,
                     uint64_t now_us);

#endif
