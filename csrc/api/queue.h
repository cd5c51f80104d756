/* What a completion queue consists of: queue.c fills it and hands it out,
 * queue_submit.c submits calls. */

#ifndef JRC_QUEUE_H
#define JRC_QUEUE_H

#include "jsonrpcc.h"

#include "api/completions.h"

#include <pthread.h>
#include <stdatomic.h>

/* As in the client: how many calls callbacks may submit beyond the limit. */
enum { JRC_QUEUE_RESERVE = 256 };

struct jsonrpcc_queue {
    jsonrpcc_client *client;
    jsonrpcc_waiter *waiter;
    uint32_t flags;
    int fd; /* an eventfd, or -1 */
    uint64_t bound;
    _Atomic uint64_t accepted; /* calls that will have an outcome here */
    _Atomic uint64_t fetched;  /* outcomes handed out */

    /* The driver's. */
    struct jrc_completions *filling;
    jsonrpcc_deferred deferred;
    atomic_bool is_deferred; /* publish() will run, or is running */

    pthread_mutex_t lock;
    struct jrc_completions *ready;
    uint64_t published; /* outcomes that the driver has handled */
    bool armed;         /* fd: the fetcher found nothing and polls */
    bool rung;          /* fd: it was written to and has not been read since */
    bool is_waited_on;  /* set by the fetcher alone */
    bool freed;
    unsigned room_waiters;
    pthread_cond_t room;

    /* The fetcher's. */
    atomic_flag used; /* by a fetcher: a second one would spoil its
                         completions */
    struct jrc_completions *draining;
    size_t in_hand; /* bytes of its last fetch */
    bool listens;   /* to events */
    bool is_known;  /* to the event thread, see introduce() */

    struct jrc_completions completions[3]; /* what the three pointers point
                                              to */
};

/* done of every call: its outcome goes into the queue, which is arg. */
void jrc_queue_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome);

#endif
