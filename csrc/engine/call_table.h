/* The calls in flight: a fixed table of slots.
 *
 * A call is a slot.  Its state says who owns it.  The owner that takes it out
 * finishes it, which is why it has exactly one outcome.  All memory of a call
 * is allocated before it is accepted, so a failure never allocates.
 *
 * An id is generation * capacity + index: below 2^53, and new at every use of
 * the slot, so that a late response finds no call.
 *
 * Two parties share the table.  Submitters hold the client's lock for
 * jrc_calls_new() and jrc_calls_reclaim(); everything else belongs to the
 * engine's thread, which hands back ended slots in one chain. */

#ifndef JRC_CALL_TABLE_H
#define JRC_CALL_TABLE_H

#include "jsonrpcc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JRC_NO_CALL UINT32_MAX

enum { JRC_BLOCK = 64, JRC_GROUP = 64 * JRC_BLOCK }; /* slots */

enum jrc_call_state {
    JRC_CALL_FREE = 0,
    JRC_CALL_HELD,    /* the engine is looking for its next place */
    JRC_CALL_WAITING, /* its frame waits in the engine for a server */
    JRC_CALL_QUEUED,  /* its frame is in a connection's output */
    JRC_CALL_SENT     /* its frame's last byte was handed to the kernel */
};

/* What a call is to its connection: bits of its role. */
enum {
    JRC_TRIAL = 1, /* its response, or silence, decides about the server */
    JRC_ELDER = 2  /* sent before the server became a suspect */
};

/* Owned by the submitter from jrc_calls_new() on, by the engine from
 * jrc_calls_watch() to jrc_calls_take(). */
struct jrc_call {
    uint64_t id;     /* never 0; of this use, or of the last one */
    uint64_t active; /* id while the engine owns the call, otherwise 0 */
    jsonrpcc_done_fn done;
    void *arg;
    uint64_t token;
    uint64_t start_us; /* its deadline counts from then */
    uint64_t accepted_us;
    uint64_t given_us;  /* when it was put into a connection's output; 0: it is
                           to wait for a server (again) */
    uint64_t sent_us;   /* SENT: when its last byte was handed to the kernel */
    char *copy;         /* the frame of an idempotent call, owned; else NULL */
    uint32_t frame_len; /* of the frame, and of the copy */
    int32_t timeout_ms;
    uint32_t next, prev;  /* its neighbours in its connection's list of sent
                             calls; next also chains free slots */
    uint32_t cancel_next; /* chains the slots to cancel; under the lock */
    uint64_t cancel_id;   /* under the lock: the call to cancel, or 0 if not in
                             the chain */
    int32_t conn;         /* QUEUED, SENT: on which connection */
    uint8_t state;
    uint8_t flags;   /* JSONRPCC_NOTIFICATION ... */
    uint8_t sends;   /* how often it was sent completely */
    uint8_t role;    /* JRC_TRIAL ... */
    uint16_t method; /* whose tally it counts in */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct jrc_call) == 128,
               "a power of two, so that an index needs no division");

/* A list of sent calls, oldest first. */
struct jrc_call_list {
    uint32_t first, last;
    uint32_t count;
};

struct jrc_calls {
    struct jrc_call *slots;
    uint64_t *deadlines; /* us; UINT64_MAX: none.  Separate, for fast sweeps */
    /* Lower bounds for the deadlines of each block of slots, and of each group
     * of blocks: a sweep can skip slots that only a burst has used. */
    uint64_t *blocks, *groups;
    uint32_t capacity; /* a power of two */
    uint32_t used;     /* slots [0..used) have been in use */
    uint32_t free;     /* chain of free slots below used */
    uint32_t live;     /* slots taken and not reclaimed */
    uint64_t first_id; /* a multiple of capacity */
    uint32_t cancels;  /* chain of slots to cancel */
    size_t kept_bytes; /* of copies, until their calls are reclaimed */
    /* The engine's: */
    uint32_t ended, ended_last; /* chain of slots to hand back */
    uint32_t ended_count;
    size_t ended_bytes;  /* of their copies */
    uint32_t high;       /* no deadline is set at or above this index */
    uint64_t soonest_us; /* no deadline is before this */
};

/* Room for at least count calls.  False: out of memory. */
bool jrc_calls_init(struct jrc_calls *calls, uint32_t count);

/* Before the first call: begin with ids above all that another table of the
 * same capacity has assigned. */
void jrc_calls_begin_after(struct jrc_calls *calls,
                           const struct jrc_calls *before);
void jrc_calls_clear(struct jrc_calls *calls);

/* Under the lock: take a slot, with its id set.  NULL: none is free. */
struct jrc_call *jrc_calls_new(struct jrc_calls *calls);

/* Under the lock: allocate room for a copy of the call's frame.  It is kept,
 * and counted, until the outcome.  False: out of memory. */
bool jrc_calls_keep(struct jrc_calls *calls, struct jrc_call *call, size_t len);

/* Under the lock: give back a slot that was not submitted, or was held. */
void jrc_calls_undo(struct jrc_calls *calls, struct jrc_call *call);

/* Under the lock, by the engine's thread: make ended slots free. */
void jrc_calls_reclaim(struct jrc_calls *calls);

/* Under the lock: note that id is to be cancelled.  Does not allocate. */
void jrc_calls_cancel(struct jrc_calls *calls, uint64_t id);

/* Under the lock: an id to cancel, or 0.  Its call may have ended. */
uint64_t jrc_calls_cancelled(struct jrc_calls *calls);

/* The slot that the call with that id has, or had. */
static inline struct jrc_call *jrc_calls_slot(const struct jrc_calls *calls,
                                              uint64_t id)
{
    return &calls->slots[id & (calls->capacity - 1)];
}

/* The call with that id if the engine owns it; NULL if it has ended or never
 * existed. */
static inline struct jrc_call *jrc_calls_find(const struct jrc_calls *calls,
                                              uint64_t id)
{
    struct jrc_call *call = jrc_calls_slot(calls, id);

    return call->active == id && id != 0 ? call : NULL;
}

static inline uint32_t jrc_calls_index(const struct jrc_calls *calls,
                                       const struct jrc_call *call)
{
    return (uint32_t)(call - calls->slots);
}

/* Make the engine the owner, and watch the deadline. */
void jrc_calls_watch(struct jrc_calls *calls, struct jrc_call *call);

/* Move the deadline of a call that the engine owns. */
void jrc_calls_set_deadline(struct jrc_calls *calls, struct jrc_call *call,
                            uint64_t deadline_us);

/* Take a call out: the caller finishes it, and it can no longer be found.  The
 * struct stays readable until the next jrc_calls_reclaim(). */
void jrc_calls_take(struct jrc_calls *calls, struct jrc_call *call);

/* For the sink, about the call taken last: the slot stays in use and keeps its
 * id until jrc_calls_undo().  Its next may chain a list of the holder's. */
void jrc_calls_hold(struct jrc_calls *calls, const struct jrc_call *call);

/* The next call, from index *at on, whose deadline has passed.  Begin with *at
 * = 0.  NULL: there is none left, and soonest_us is now exact. */
struct jrc_call *jrc_calls_expired(struct jrc_calls *calls, uint64_t now_us,
                                   uint32_t *at);

static inline void jrc_call_list_append(struct jrc_calls *calls,
                                        struct jrc_call_list *list,
                                        struct jrc_call *call)
{
    uint32_t index = jrc_calls_index(calls, call);

    call->next = JRC_NO_CALL;
    call->prev = list->last;
    if (list->count == 0)
        list->first = index;
    else
        calls->slots[list->last].next = index;
    list->last = index;
    list->count++;
}

static inline void jrc_call_list_remove(struct jrc_calls *calls,
                                        struct jrc_call_list *list,
                                        struct jrc_call *call)
{
    uint32_t index = jrc_calls_index(calls, call);

    if (list->first == index)
        list->first = call->next;
    else
        calls->slots[call->prev].next = call->next;
    if (list->last == index)
        list->last = call->prev;
    else
        calls->slots[call->next].prev = call->prev;
    list->count--;
}

#endif
