/* Which connections are in doubt, alone or with their server: responses,
 * silence and trials.  See pool.h.
 *
 * Internal to the engine; times are monotonic microseconds. */

#ifndef JRC_PROOF_H
#define JRC_PROOF_H

#include "engine/state.h"

/* A response has arrived, or it has proved itself in another way.  True: its
 * server was on trial, and is now up. */
bool jrc_pool_heard(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* The same, and quick for the only connection of a server. */
static inline bool jrc_pool_answered(struct jrc_engine *engine, uint32_t i,
                                     uint64_t now_us)
{
    return engine->width == 1 && engine->conns[i].state == JRC_SERVER_UP
               ? jrc_servers_answered(engine->servers, i, now_us)
               : jrc_pool_heard(engine, i, now_us);
}

/* A call on it timed out.  True: its server has just become a suspect. */
bool jrc_pool_timed_out(struct jrc_engine *engine, uint32_t i, uint64_t now_us,
                        bool trial);

/* A suspect takes no trial: when to replace its connections if that does not
 * change.  JRC_NEVER: it has just become one. */
void jrc_pool_suspect(struct jrc_engine *engine, uint32_t server,
                      uint64_t deadline_us);

/* A trial on it has ended without a response, whatever the outcome. */
void jrc_pool_tried(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* It has to prove itself.  If its server is trusted for another one, and no
 * call comes to try it, it has done so when it has stayed up for a while. */
void jrc_proof_begin(struct jrc_engine *engine, uint32_t i, uint64_t now_us);

/* What connections have to prove, their server has to prove now: a call may be
 * trying one, and to stay up is not enough. */
void jrc_proof_inherit(struct jrc_engine *engine, uint32_t server);

/* Its server is trusted again, thanks to another one: they have to prove
 * themselves yet. */
void jrc_proof_resume(struct jrc_engine *engine, uint32_t server,
                      uint64_t now_us);

#endif
