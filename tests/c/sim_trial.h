/* sim_trial.c: how long servers in doubt are given, and what must hold.
 *
 * A server has as long to answer a trial as to accept a connection, however
 * short the pauses between attempts are. */

#ifndef SIM_TRIAL_H
#define SIM_TRIAL_H

#include "sim.h"

enum { SIM_CONNECT_MS = 1000 };

/* Draw the pauses, and how slow the servers are once the faults are over. */
void sim_trial_draw(struct sim *sim, uint64_t seed);

/* The longest time that a trial may take. */
uint64_t sim_trial_time_us(const struct sim *sim);

/* The kernel has taken a request on connection i; a server has become a
 * suspect; it has lost connections for its silence; we receive again; a call
 * has ended. */
void sim_trial_given(struct sim *sim, uint32_t i);
void sim_trial_suspect(struct sim *sim, uint32_t server);
void sim_trial_lost(struct sim *sim, uint32_t server);
void sim_trial_resume(struct sim *sim, uint32_t i);
void sim_trial_outcome(struct sim *sim, const struct jrc_call *call,
                       const jsonrpcc_outcome *outcome);

#endif
