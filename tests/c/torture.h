/* Torture for the client: scenarios with real sockets under an armed fault, and
 * what must hold then and afterwards.  Each accepted call must get its one
 * outcome, with the right data; not_sent must be true; and when the fault is
 * over, the client must work again.  LSan finds leaks; descriptors are counted
 * here.
 *
 * The program includes fault_here.h, and counts its checks by EXPECT() alone.
 */

#ifndef TORTURE_H
#define TORTURE_H

#include "fault.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <stdatomic.h>

enum { TORTURE_CALLS = 16 };

/* Milliseconds: what a scenario waits for outcomes, what most calls have, what
 * blocking ones have, of which a scenario makes one after the other, and when
 * something hangs. */
enum {
    TORTURE_WAIT_MS = 30,
    TORTURE_TIMEOUT_MS = 100,
    TORTURE_SHORT_MS = 30,
    TORTURE_PATIENCE_MS = 5000
};

/* That many runs in a row without the fault: there are threads, and no two runs
 * make quite the same calls. */
enum { TORTURE_MISSES = 2 };

/* One run of a scenario. */
struct torture_run {
    jsonrpcc_client *client;
    unsigned accepted;
    struct {
        const char *method;
        uint64_t number;
        bool notification;
        bool undelivered; /* we may never get its outcome */
        atomic_uint outcomes;
        jsonrpcc_status status;
        jsonrpcc_fate fate;
        bool right; /* the data is what the peer said */
    } calls[TORTURE_CALLS];
};

struct torture_scenario {
    const char *name;
    void (*run)(struct torture_run *run);
};

struct torture_fault {
    enum fault_kind kind;
    int error;
};

/* What is going on now, for messages. */
struct torture_now {
    const char *scenario;
    struct torture_fault fault;
    unsigned n;
    bool for_ever;
};

extern const struct torture_scenario torture_scenarios[];
extern const size_t torture_scenario_count;
extern const struct torture_fault torture_faults[];
extern const size_t torture_fault_count;
extern struct torture_now torture_now;
extern struct peer torture_peer;
extern uint64_t torture_last_number;    /* of the requests made so far */
extern const jsonrpcc_tls *torture_tls; /* of the clients; NULL: none */

/* Count a check; say what was going on if it fails, and go on. */
#define EXPECT(condition) \
    torture_expect((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
bool torture_expect(bool ok, const char *file, int line, const char *condition);
unsigned torture_failures(void);

void torture_start(void);
/* Prints the figures, after this word; returns the program's exit status. */
int torture_done(const char *word);

/* Arm torture_now; and disarm: returns whether the fault occurred at all. */
void torture_arm(void);
bool torture_disarm(void);

/* One run of a scenario under torture_now, and the checks after it.  Returns
 * whether the fault occurred at all. */
bool torture(const struct torture_scenario *scenario);

/* Which allocations fail, one after the other, counted from 1. */
struct torture_range {
    unsigned first, step;
    unsigned last; /* or the last that there is */
};

/* All scenarios under all faults, once and from then on: at allocations, and at
 * the first calls. */
void torture_all(struct torture_range allocations, unsigned calls);

/* Check that it works again: a new call, in a new client if the fault left
 * none. */
void torture_check_recovery(struct torture_run *run);

/* After a run in a child process, which has used the peer, too: waits until
 * the peer has no more than that many connections and is idle, because locks
 * of a sanitizer that another thread holds during fork() stay locked in the
 * child. */
void torture_ran_elsewhere(unsigned connections);

/* ---- for scenarios ------------------------------------------------------- */

uint64_t torture_now_ms(void);
void torture_nap(void);

/* The servers string for the peer; with a name that stands for it; and for a
 * dead server before it. */
const char *torture_servers(void);
const char *torture_name(void);
const char *torture_failover_servers(void);

/* Whether a call, or a client, may be refused with it under torture_now. */
bool torture_is_refusal(jsonrpcc_status status);

bool torture_open(struct torture_run *run, const char *servers,
                  size_t undelivered);

/* One whose callbacks wait for this thread to poll, which reads little until
 * then.  Closed and freed by the scenario: nobody else polls. */
bool torture_open_hosted(struct torture_run *run);

/* Returns the token of a new entry of run->calls, and writes its params. */
uint64_t torture_enter(struct torture_run *run, const char *method,
                       uint32_t flags, char params[64]);
/* Submit one; returns its id. */
uint64_t torture_call(struct torture_run *run, const char *method,
                      uint32_t flags);
void torture_record(struct torture_run *run, uint64_t token,
                    const jsonrpcc_outcome *outcome);

bool torture_has_all(const struct torture_run *run);
void torture_wait(const struct torture_run *run, uint64_t ms);

#endif
