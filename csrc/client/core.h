/* One running client: the engine, its loop, the submission queue by which other
 * threads reach them, and who leads.
 *
 * The rules of threads.  `lock` guards everything under "submission" and
 * "leadership"; it is held for a few memory accesses, never across a callback
 * or a system call that may block.  Everything under "leader" belongs to the
 * thread that leads, which is one at a time.  No thread holds two of our locks,
 * except around fork(), and at the beginning of a close: see lifecycle.c and
 * fork.c for the order. */

#ifndef JRC_CORE_H
#define JRC_CORE_H

#include "client/fork.h"
#include "engine/call_table.h"
#include "engine/engine.h"
#include "engine/outbox.h"
#include "engine/servers.h"
#include "io/loop.h"
#include "jsonrpcc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    JRC_RESERVE = 256,        /* calls beyond max_in_flight for callbacks */
    JRC_SOME = 32,            /* calls that are submitted by one lock */
    JRC_EVENTS = 4096,        /* past events kept for a listener */
    JRC_LINGER_US = 1000000,  /* for unsent notifications at close */
    JRC_UNATTENDED_US = 2000, /* there may be no leader for so long */
    JRC_RETURN_US = 100,      /* a dispatcher is likely back within this */
    JRC_WATCHDOG_TURNS = 20,  /* ... and after so many looks it is not */
    JRC_REFUSALS = 64,        /* whose sizes are remembered */
    JRC_PLACE_US = 250000,    /* who waits for room may be away so long */
    JRC_SHORT_SLEEP_US = 8,   /* who submits call after call wakes a leader */
    JRC_SHORT_SLEEPS = 3,     /* so soon, and after so many times in a row */
    JRC_PAUSE_US = 50         /* it pauses for this long */
};

/* Leader/followers: at most one thread runs the loop.
 *
 *                 +--------> WATCHDOG ----------+
 *     NO_LEADER --+--------> DISPATCHER --------+--> NO_LEADER
 *                 +--------> CALLER ------------+
 *                jrc_lead()          step_down()
 *
 * A larger one may ask a smaller one to step down: a thread that waits for a
 * single call (CALLER) leads before one that comes for outcomes now and then
 * (DISPATCHER), and that before the event thread (WATCHDOG). */
enum jrc_leader { JRC_NO_LEADER, JRC_WATCHDOG, JRC_DISPATCHER, JRC_CALLER };

/* A thread that waits, see jsonrpcc_wait(). */
struct jsonrpcc_waiter {
    struct jrc_core *core;   /* a reference */
    jsonrpcc_client *client; /* a reference */
    enum jrc_leader role;    /* when it leads */
    bool signalled;
    bool waited_on;
    bool following;
    pthread_cond_t cond;
    struct jsonrpcc_waiter *next, *prev; /* in the list of followers */
};

/* Who leads, and who waits to.  Under the lock. */
struct jrc_leadership {
    enum jrc_leader leader; /* assigned by leader.c's set_leader() alone */
    pthread_t thread;       /* of the leader, if there is one */
    struct jsonrpcc_waiter *followers; /* those that wait and do not lead */
    uint64_t left_us;                  /* when there was a leader last */
    uint64_t alarm_us;   /* when the watchdog looks at the leader */
    int alarm_fd;        /* its timerfd */
    bool wake_requested; /* it shall lead, if nobody does then */
    bool poller_wants;   /* an event loop of others' wants to lead */
    bool poll_skipped;   /* it only sent, the last time */
    bool has_dispatcher;
    pthread_t dispatcher;    /* who led last with a lazy waiter */
    unsigned watchdog_turns; /* with no sign of the dispatcher */
    unsigned short_sleeps;   /* in a row; the leader's own */
};

/* Who is told events, and those there were. */
struct jrc_listener {
    /* Under the lock: */
    jsonrpcc_event_fn fn;
    void *arg;
    bool wants_replay;
    bool runs;
    pthread_cond_t returned;
    /* The leader's: */
    jsonrpcc_event events[JRC_EVENTS]; /* a ring */
    uint64_t event_count, emitted;
    _Atomic uint64_t dropped;
};

/* A thread's place in the line for room.  Who waits in slices keeps it between
 * two of them. */
struct jrc_place {
    pthread_t thread;
    size_t size;  /* of the frame that was refused */
    bool waiting; /* in jrc_core_room(); else the place is kept */
    uint64_t until_us;
    struct jrc_place *next;
};

/* Calls that found no room, and those who wait for it.  Under the lock. */
struct jrc_line {
    struct jrc_place *first;
    pthread_cond_t moved; /* or there is room for the first */
    struct {
        pthread_t thread;
        size_t size;
    } refused[JRC_REFUSALS]; /* a ring */
    uint64_t refused_count;
};

struct jrc_core {
    /* Set up before any thread sees the core. */
    jsonrpcc_options options; /* complete: no zeros left; servers is NULL */
    struct jrc_servers servers;
    struct jrc_engine engine;
    struct jrc_loop *loop;
    atomic_uint refs;
    unsigned generation; /* of the process that made it */
    struct jrc_fork_watch fork_watch;
    struct jrc_host *host; /* NULL without JSONRPCC_HOST_CALLBACKS */

    pthread_mutex_t lock;
    /* submission */
    struct jrc_calls calls;
    struct jrc_frames pending; /* submitted, for the leader to take */
    size_t held_bytes;         /* in the engine, as of its last turn, and
                                  the copies that are kept */
    uint64_t requests, notifications, refused_full, turns;
    struct jrc_line line;
    bool closing; /* close has begun */
    bool closed;  /* and ended: no callback runs any more */
    pthread_cond_t closed_cond;
    struct jrc_leadership leadership;
    struct jrc_listener listener;

    /* leader */
    jmp_buf *way_out; /* see jrc_leave_turn() */
    struct jrc_frames taken;
    jsonrpcc_deferred *deferred, **deferred_last;
    bool close_begun;
    uint64_t now_us; /* of the last turn */
    bool reading;    /* from the sockets, as of then */

    _Atomic int64_t undelivered_bytes;
    atomic_bool consumed; /* some were, since the event thread looked */
};

/* ---- lifecycle.c ---- */

/* options: complete.  Starts the event thread.  0; or an errno, and neither a
 * thread nor a descriptor is left: EINVAL with why, ENOMEM, or what the system
 * said when it refused one. */
int jrc_core_new(const jsonrpcc_options *options, struct jrc_core **core,
                 char *why, size_t why_size);

void jrc_core_ref(struct jrc_core *core);
void jrc_core_unref(struct jrc_core *core);
bool jrc_core_close(struct jrc_core *core, int32_t timeout_ms);

/* ---- submit.c: the submission queue ---- */

/* What this version knows; others may mean something to a newer one. */
#define JRC_CALL_FLAGS                                                         \
    ((uint32_t)(JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT |                  \
                JSONRPCC_WAIT_FOR_READY | JSONRPCC_LENIENT | JSONRPCC_CORKED | \
                JSONRPCC_RESERVE | JSONRPCC_ANY_THREAD))

jsonrpcc_status jrc_core_submit(struct jrc_core *core,
                                const jsonrpcc_call *call, uint64_t *id);

/* Submit calls that lie stride bytes apart, until one is refused; how many were
 * not.  scanned: their params are given and JRC_SCANNED. */
size_t jrc_core_submit_many(struct jrc_core *core, const void *calls,
                            size_t stride, size_t count, bool scanned,
                            jsonrpcc_status *status);
void jrc_core_cancel(struct jrc_core *core, uint64_t id);
void jrc_core_flush(struct jrc_core *core);

/* ---- line.c: the wait for room ---- */

bool jrc_core_room(struct jrc_core *core, int32_t timeout_ms);

/* jrc_line_lets_in() where the answer is not plain. */
bool jrc_line_lets_pass(struct jrc_core *core, uint32_t live, uint32_t flags,
                        size_t size);

/* Under the lock: whether this thread may take room for a frame of so many
 * bytes, beside so many live calls: there is that room, and nobody that waits
 * is passed over. */
static inline bool jrc_line_lets_in(struct jrc_core *core, uint32_t live,
                                    uint32_t flags, size_t size)
{
    size_t queued = core->held_bytes + jrc_frames_size(&core->pending);

    return (core->line.first == NULL && live < core->options.max_in_flight &&
            queued + size <= core->options.max_queued_bytes) ||
           jrc_line_lets_pass(core, live, flags, size);
}

/* Under the lock: this thread was refused, or let in. */
void jrc_line_refused(struct jrc_core *core, size_t size);
void jrc_line_leave(struct jrc_core *core);

/* Under the lock: there is more room now. */
void jrc_line_move(struct jrc_core *core);

void jrc_line_clear(struct jrc_core *core);

/* ---- core.c ---- */

/* Whether this process made it.  One inherited by fork() is stale: its
 * threads are not here, and its memory is left alone. */
bool jrc_core_is_ours(const struct jrc_core *core);

void jrc_core_listen(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg);
void jrc_core_stats(struct jrc_core *core, jsonrpcc_stats *stats); /* stats.c */
void jrc_core_undelivered(struct jrc_core *core, int64_t bytes);

/* An absolute time for pthread_cond_timedwait() on our conditions, which run
 * on CLOCK_MONOTONIC. */
struct timespec jrc_timespec(uint64_t us);
void jrc_cond_init(pthread_cond_t *cond);

/* ---- leader.c: who leads ---- */

/* Under the lock: have the watchdog look at the leader delay_us from now. */
void jrc_watchdog_set_alarm(struct jrc_core *core, uint64_t now_us,
                            uint64_t delay_us);

/* Open the alarm and start the event thread, which owns a reference.  False:
 * errno says why, and no thread is left. */
bool jrc_watchdog_start(struct jrc_core *core);

/* Under the lock: see that somebody takes notice of what was submitted.
 * Returns whether jrc_loop_wake() has to be called, best unlocked. */
bool jrc_wake_leader(struct jrc_core *core);

/* Under the lock, and nobody leads: lead while may_stay says yes, until
 * until_us at the latest, and step down.  Unlocks meanwhile.  False: a callback
 * forked, this is the child, and the core is its parent's. */
bool jrc_lead(struct jrc_core *core, enum jrc_leader role,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us);

/* Lead for one turn that waits for nothing.  False: somebody else leads, and
 * has been told of what was submitted; or the client is closing. */
bool jrc_lead_once(struct jrc_core *core);

/* Under the lock: a follower goes away.  It may have been promoted just then,
 * and nobody else would lead. */
void jrc_pass_on(struct jrc_core *core);

/* The highest role among the followers that still wait for a signal. */
enum jrc_leader jrc_leader_wanted(const struct jrc_core *core);

/* Whether this thread leads: it is inside a callback. */
bool jrc_is_leader(const struct jrc_core *core);

/* In that child, by the thread that led when it forked: end the turn where it
 * stands.  jrc_lead() returns. */
_Noreturn void jrc_leave_turn(struct jrc_core *core);

/* ---- iteration.c: what the leader does ---- */

/* Under the lock, which it gives up meanwhile.  One turn: take what was
 * submitted, let the engine work, wait for events until until_us, emit outcomes
 * and events.  may_stay is asked under the lock, before the turn and before the
 * wait; false if it said no.
 *
 * A turn is bounded: it takes what was submitted before it began, and a leader
 * that may not stay leaves after that.  And each one polls: what callbacks and
 * other threads submit meanwhile waits for the next turn, and for the sockets
 * and deadlines before it. */
bool jrc_turn(struct jrc_core *core,
              bool (*may_stay)(const struct jrc_core *core, const void *arg),
              const void *arg, uint64_t until_us);

/* Under the lock, by the leader: whether something was left for the next turn
 * by those who found nobody asleep, and have woken nobody. */
bool jrc_has_work(const struct jrc_core *core);

/* The leader's sink for the engine. */
void jrc_turn_outcome(void *arg, const struct jrc_call *call,
                      const jsonrpcc_outcome *outcome);
void jrc_turn_event(void *arg, const jsonrpcc_event *event);

/* By the leader, in a callback: as jsonrpcc_defer(). */
static inline void jrc_turn_defer(struct jrc_core *core,
                                  jsonrpcc_deferred *deferred)
{
    deferred->next = NULL;
    *core->deferred_last = deferred;
    core->deferred_last = &deferred->next;
}

#endif
