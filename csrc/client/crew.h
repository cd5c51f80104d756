/* A crew: a few threads that take care of many clients.
 *
 * One thread at a time runs: it waits on an epoll descriptor that contains
 * those of the loops, leads each loop that has something to do for one turn,
 * and leaves to deliver what one of them has brought.  Its client is held
 * meanwhile, so that outcomes of one client are delivered by one thread at a
 * time.  The others stand by.
 *
 *                      serve()               something to deliver
 *         outside ----------------> runs --------------------------> outside
 *            |                       ^
 *            | another thread runs   | the lookout calls
 *            +------------------> stands by
 *
 * The lookout is a thread of the crew's own.  It comes when no thread has run
 * for LATE_US: the last one is in a callback that blocks, or waits for Python's
 * interpreter lock.  It calls one that stands by, and if there is none, it runs
 * itself, without delivering, until there is.
 *
 * The crew's lock is never held together with that of a client, except around
 * fork(). */

#ifndef JRC_CREW_H
#define JRC_CREW_H

#include "client/core.h"

#include <sys/epoll.h>

enum { JRC_CREW_EVENTS = 64 };

/* A client in a crew. */
struct jrc_member {
    struct jsonrpcc_crew *crew;
    struct jrc_core *core;      /* a reference */
    struct jrc_member **joined; /* the waiter's, while it is a member */
    uint64_t token;             /* of the queue that is told of */
    uint32_t slot, serial;      /* in the crew's table */
    atomic_uint refs;

    /* Under the core's lock. */
    bool is_polled;   /* the crew's epoll has the loop */
    bool is_masked;   /* without its events, since another thread leads */
    bool is_watched;  /* nobody leads, and the loop's descriptor tells when
                         somebody has to */
    bool is_held;     /* a thread of the crew fetches and delivers, */
    pthread_t holder; /* this one */

    /* On the list of what is told, if it is told. */
    atomic_bool is_told;
    struct jrc_member *next_told;

    /* Under the crew's lock. */
    bool is_taken;          /* by the thread that holds it, or is about to */
    atomic_bool is_visited; /* and was led by another since: this one may
                               not come back soon */
    bool is_ready;          /* to be taken, or to be taken again */
    struct jrc_member *next_ready;
    uint64_t due_us; /* when it gets ready by itself */
};

struct jsonrpcc_crew {
    /* Set up before any thread sees the crew. */
    int epoll_fd; /* with the descriptors of the loops, and: */
    int wake_fd;  /* an eventfd */
    int alarm_fd; /* a timerfd: when the lookout looks */
    unsigned generation;
    struct jrc_fork_watch fork_watch;

    atomic_uint refs;                  /* the owner's and the lookout's */
    _Atomic(struct jrc_member *) told; /* the last one that was told of */
    atomic_bool is_asleep;     /* the runner waits, or is about to: wake it */
    atomic_bool is_unattended; /* nobody runs */
    atomic_bool is_called;     /* the lookout, because of a submission */

    pthread_mutex_t lock;
    bool is_freed;
    bool runs;          /* a thread does, or the lookout */
    bool is_lookout;    /* it is the lookout */
    bool is_wanted;     /* a thread wants to run instead of the lookout */
    bool calls;         /* a thread that stands by has to run */
    bool visits;        /* the runner has to look at what is held */
    bool is_alarmed;    /* the lookout will look */
    uint64_t left_us;   /* since when nobody runs */
    unsigned threads;   /* in jsonrpcc_crew_serve(), or about to return to it */
    unsigned unvisited; /* members that are taken, and nobody else has led
                           since: the alarm is set, or visits is */
    unsigned standing;  /* of those */
    pthread_cond_t call;         /* to those */
    struct jrc_member **members; /* the table; NULL: a free slot */
    uint32_t room, count, serial;
    struct jrc_member *first_ready, **last_ready;
    uint64_t due_us; /* no member is due by itself before that */

    /* Of the thread that runs: what its last wait told, and how much of that it
     * has handled. */
    struct epoll_event events[JRC_CREW_EVENTS];
    int event_count, event_at;
    unsigned takes; /* of members since then */
};

/* Under its lock: have the lookout look in that time, or sooner. */
void jrc_crew_alarm(struct jsonrpcc_crew *crew, uint64_t delay_us);

/* Any thread: wake the thread that runs, if it is asleep. */
void jrc_crew_wake(struct jsonrpcc_crew *crew);

/* Under its lock: a member is ready.  One that is taken gets onto the list when
 * it is given back, by the second. */
void jrc_crew_make_ready(struct jsonrpcc_crew *crew, struct jrc_member *member);
void jrc_crew_append(struct jsonrpcc_crew *crew, struct jrc_member *member);

/* Under its lock: it is not on the list any more, if it was. */
void jrc_crew_unready(struct jsonrpcc_crew *crew, struct jrc_member *member);

/* Under its lock: put what was told of, and what is due, among what is ready.
 */
void jrc_crew_gather(struct jsonrpcc_crew *crew);

#endif
