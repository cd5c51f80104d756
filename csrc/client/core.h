/* One running client: its state, grouped by owner.  The files named after each
 * part contain the functions that work on it.
 *
 * Rules for threads.  `lock` guards everything in "submission", "leadership"
 * and "life", and whatever other comments say it guards.  It is held for a few
 * memory accesses, never across a callback or a system call that may block.
 * `turn` belongs to the leading thread, of which there is one at a time.  No
 * thread holds two of our locks, except around fork() and at the beginning of a
 * close: lifecycle.c and fork.c state the order. */

#ifndef JRC_CORE_H
#define JRC_CORE_H

#include "client/entries.h"
#include "client/fork.h"
#include "engine/call_table.h"
#include "engine/engine.h"
#include "engine/outbox.h"
#include "engine/servers.h"
#include "io/loop.h"
#include "io/transport_tls.h"
#include "jsonrpcc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    JRC_RESERVE = 256, /* calls beyond max_in_flight for callbacks */
    JRC_EVENTS = 4096, /* past events kept for a listener */
    JRC_REFUSALS = 64  /* refusals remembered, with their sizes */
};

/* A thread's place in the line for room.  A thread that waits in slices keeps
 * its place between them. */
struct jrc_place {
    pthread_t thread;
    size_t size;  /* of the frame that was refused */
    bool waiting; /* in jrc_line_wait(); otherwise the place is only reserved */
    uint64_t until_us;
    struct jrc_place *next;
};

/* Calls that found no room, and the threads that wait for it. */
struct jrc_line {
    struct jrc_place *first;
    pthread_cond_t moved; /* the line, or there is room for the first */
    struct {
        pthread_t thread;
        size_t size;
    } refused[JRC_REFUSALS]; /* a ring */
    uint64_t refused_count;
};

/* Calls on their way to the leader.  Under the lock. */
struct jrc_submission {
    struct jrc_calls calls;
    struct jrc_frames pending;       /* for the leader to take */
    struct jrc_server_list *servers; /* likewise: a new list of servers */
    uint64_t list_changes;           /* how many there have been */
    struct jrc_hello *hello;         /* likewise, if has_hello; NULL: none */
    bool has_hello;
    size_t held_bytes; /* in the engine as of its last turn, plus
                          the copies kept for resending */
    uint64_t requests, notifications, refused_full;
    struct jrc_line line;
};

/* Leader/followers: at most one thread runs the loop.
 *
 *                 +--------> WATCHDOG ----------+
 *     NO_LEADER --+--------> DISPATCHER --------+--> NO_LEADER
 *                 +--------> CALLER ------------+
 *                jrc_lead()          step_down()
 *
 * A larger role may ask a smaller one to step down.  A thread that waits for
 * a single call (CALLER) has precedence over one that fetches outcomes from
 * time to time (DISPATCHER), which has precedence over the event thread
 * (WATCHDOG). */
enum jrc_leader { JRC_NO_LEADER, JRC_WATCHDOG, JRC_DISPATCHER, JRC_CALLER };

/* A thread that waits for a signal and may lead meanwhile. */
struct jrc_follower {
    enum jrc_leader role; /* when it leads */
    bool signalled;
    bool following; /* in the list: it waits and does not lead */
    pthread_cond_t cond;
    struct jrc_follower *next, *prev;
};

/* Which thread leads, and which wait to lead.  Under the lock. */
struct jrc_leadership {
    enum jrc_leader leader; /* assigned by jrc_set_leader() alone */
    pthread_t thread;       /* of the leader, if there is one */
    struct jrc_follower *followers;
    uint64_t left_us;    /* when the last leader stepped down */
    uint64_t due_us;     /* when the watchdog leads, unless a thread does */
    uint64_t alarm_us;   /* when the watchdog checks on the leader */
    int alarm_fd;        /* its timerfd */
    bool wake_requested; /* the watchdog leads unless another thread does */
    bool poller_wants;   /* a foreign event loop wants to lead */
    bool poll_skipped;   /* last time, that loop only sent */
    bool idle;           /* nothing was in flight when the last leader left */
    bool unwatched;      /* no thread has watched the sockets for a while */
    bool sparse;         /* this was so when what is in flight was sent */
    bool has_dispatcher;
    pthread_t dispatcher;    /* the last thread to lead with a lazy waiter */
    unsigned watchdog_turns; /* with no sign of the dispatcher */
    unsigned short_sleeps;   /* in a row; the leader's own */
    uint64_t turns;          /* of all leaders */
    uint64_t seen_turns;     /* by the watchdog, when it last looked */
    uint64_t vain_turns; /* when a foreign event loop last could not lead, */
    unsigned vain_polls; /* as often as this since then, without a turn */
    bool is_shared;      /* the shared event thread is the watchdog, set
                            before any thread sees it: */
    struct jrc_attended *attended; /* until the end */
    bool is_watched;               /* nobody leads, and it waits for the loop */
    struct jrc_member *member;     /* of a crew; NULL: of none */
    bool is_held;                  /* a thread of the crew runs callbacks: */
    pthread_t holder;
};

/* The receiver of events, and past events. */
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

/* The state of a turn.  The leader's. */
struct jrc_turn {
    jmp_buf *way_out;        /* see jrc_stay_in_parent() */
    struct jrc_frames taken; /* from the submission */
    uint64_t list_changes;   /* that have reached the engine */
    jsonrpcc_deferred *deferred, **deferred_last;
    bool close_begun;
    uint64_t now_us;  /* when the turn began */
    bool reading;     /* whether sockets are read, as of then */
    uint64_t told_us; /* when the outcome came that a callback is told, */
    uint64_t tick;    /* with the kernel's last tick before it */
    _Atomic(pthread_t) telling; /* the thread that runs the callback, or 0 */
};

/* How far the consumer of what was received lags.  For any thread. */
struct jrc_consumer {
    _Atomic int64_t undelivered_bytes;
    atomic_bool moved; /* it took something since the event thread last
                          looked */
};

/* Under the lock. */
struct jrc_life {
    bool closing; /* close has begun */
    bool closed;  /* close has ended: no callback runs any more */
    pthread_cond_t ended;
};

struct jrc_core {
    /* Set up before any thread sees the core. */
    jsonrpcc_options options; /* complete: no zeros left; servers is NULL */
    struct jrc_servers servers;
    struct jrc_engine engine;
    struct jrc_given given; /* until the loop has them */
    struct jrc_loop *loop;
    struct jrc_tls_context *tls_context; /* NULL: no TLS */
    struct jrc_tls *tls;                 /* with it */
    struct jrc_host *host; /* NULL without JSONRPCC_HOST_CALLBACKS */
    unsigned generation;   /* of the process that created it */
    struct jrc_fork_watch fork_watch;

    atomic_uint refs;
    pthread_mutex_t lock;
    struct jrc_submission submission;
    struct jrc_leadership leadership;
    struct jrc_life life;
    struct jrc_listener listener;
    struct jrc_entries entries;
    struct jrc_turn turn;
    struct jrc_consumer consumer;
};

/* Whether this process created it.  A core inherited by fork() is stale: its
 * threads do not exist here, and its memory is left alone. */
bool jrc_core_is_ours(const struct jrc_core *core);

/* For the leader, after each callback: the callback may have forked, and this
 * may be the child.  If so, the turn ends at once, and jrc_take_turns()
 * returns. */
void jrc_stay_in_parent(struct jrc_core *core);

void jrc_core_ref(struct jrc_core *core); /* see jrc_core_unref() */

/* An absolute time for pthread_cond_timedwait() on our conditions, which run
 * on CLOCK_MONOTONIC. */
struct timespec jrc_timespec(uint64_t us);
void jrc_cond_init(pthread_cond_t *cond);

#endif
