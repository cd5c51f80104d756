/* A crew: a few threads that fetch and deliver the outcomes of many clients,
 * whose loops the shared event thread attends to.
 *
 * A client about which there is something to tell is ready.  A thread takes one
 * at a time, which it holds until it comes back, so that outcomes of one client
 * are delivered by one thread at a time.  One thread is active, as Python runs
 * one at a time anyway; it polls the loops when no client is ready.  The others
 * stand by, and one of them becomes active when that one has not come back for
 * LATE_US although a client is ready: it is in a callback that blocks.  The
 * more threads are in such callbacks, the sooner that is, unless the active one
 * computes: a lock or a database may block callbacks of all clients at once.
 *
 * One lock guards all crews.  It is the innermost one: under it, no other is
 * taken. */

#ifndef JRC_CREW_H
#define JRC_CREW_H

#include "client/core.h"

/* A client in a crew. */
struct jrc_member {
    struct jsonrpcc_crew *crew;
    struct jrc_core *core;      /* a reference */
    struct jrc_member **joined; /* the waiter's; under the core's lock */
    uint64_t token;             /* of the waiter */

    void (*destroy)(struct jrc_member *member);

    /* Under the crews' lock. */
    unsigned refs;
    bool is_taken; /* by the thread that holds it, or is about to */
    bool is_ready; /* to be taken, or to be taken again */
    bool has_left;
    uint64_t due_us;          /* when it gets ready by itself */
    struct jrc_member *ready; /* the next one that is */
    struct jrc_member *next, *prev;
};

/* Of all crews. */
extern pthread_mutex_t jrc_crews_lock;

struct jsonrpcc_crew {
    unsigned generation;
    struct jsonrpcc_crew *next; /* of all crews; under the lock */
    /* Under the lock: */
    unsigned threads; /* in jsonrpcc_crew_serve(), or about to return to it */
    unsigned waiting; /* of those */
    unsigned count;   /* of members */
    struct jrc_member *members, *first_ready, **last_ready;
    unsigned delivering;         /* of them, that have begun to */
    const jsonrpcc_seat *active; /* of the thread that is away, delivering */
    uint64_t taken_us;           /* when it took its member, or has begun */
    bool has_begun;              /* and if others were delivering already: */
    clockid_t clock;             /* of its time of a processor, */
    uint64_t cpu_us;             /* which was this then */
    uint64_t due_us;             /* no member is due by itself before that */
    pthread_cond_t call;         /* to one that waits: */
    bool is_called;
    bool is_guarded; /* one that waits looks whether the active one is late */
};

/* Under the core's lock: there is something to fetch, or there will be nothing
 * any more. */
void jrc_crew_tell(struct jrc_member *member);

/* The others under the crews' lock. */

/* There is something to fetch.  A member that is taken gets onto the list when
 * it is given back. */
void jrc_crew_make_ready(struct jrc_member *member);

/* If a member is ready, have a thread that waits take it, or see to it that the
 * active one does not keep others from it. */
void jrc_crew_call_for_ready(struct jsonrpcc_crew *crew);

/* It is not on the list any more, if it was. */
void jrc_crew_unready(struct jrc_member *member);

/* Drop a reference to it, unlock, and destroy it if that was the last one. */
void jrc_crew_unref_unlock(struct jrc_member *member);

#endif
