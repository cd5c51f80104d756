/* The checker: does a history of calls keep the promises?
 *
 * A history is a list, in order, of what the application saw (submits,
 * outcomes, close) and what the witness saw on the wire (frames, replies).  The
 * checker knows the promises, but not how the engine keeps them. */

#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The time between two calls on a connection that has not proved itself, in
 * worlds where every connection has to. */
enum { SIM_PROVE_US = 1000000 };

enum sim_kind {
    SIM_SUBMIT,  /* a call was accepted: flags; value: its deadline */
    SIM_REFUSE,  /* a call was not accepted: status */
    SIM_CANCEL,  /* the application cancelled a call */
    SIM_ROUTED,  /* a call was queued: server, link; value: whether a better
                    server was up; waited_us: how long before this the link must
                    not have got a call (0: any time) */
    SIM_BEGUN,   /* the kernel took a frame's first byte: server, link */
    SIM_GIVEN,   /* the kernel took its last byte: server, link */
    SIM_REPLY,   /* a server wrote a reply: status, server, link, value */
    SIM_OUTCOME, /* status, fate, server, sends, times; value: that of the
                    reply, or for EFAILURE whether a server was up */
    SIM_LOST,    /* our side closed the link */
    SIM_TICK,    /* the engine has just ended all calls that are due */
    SIM_CLOSE,   /* close has begun; value: when all calls must have ended */
    SIM_CLOSED,  /* close has finished */
    /* About names and files; link: a name's id, server: its source. */
    SIM_LOOKUP, /* a lookup began; waited_us: the shortest time allowed since
                   the last one began */
    SIM_ANSWER, /* it ended; status: the kind of answer; value: the servers in
                   it; waited_us: how long a name has to be denied before it
                   counts; of a file, flags; answered_us: its version */
    SIM_NAMED,  /* the next SIM_LISTED has this name; value: its servers in
                 * truth; waited_us: the longest time until its next lookup
                 */
    SIM_LISTED  /* the list in use; value: its servers; waited_us: those written
                   in it as such; sends: the sources written in it;
                   answered_us: the most servers allowed; flags */
};

/* The sources of servers: two names (0 and 1), SRV records, and a file, which
 * may contain the second name.  Sets of servers are bits; if a file contains
 * the name, the bit SIM_SOURCE_BIT + SIM_NESTED is set, too. */
enum { SIM_SRV = 2, SIM_FILE, SIM_SOURCES };
enum { SIM_NESTED = 1, SIM_SOURCE_BIT = 32 };

/* Flags of SIM_ANSWER: the file was moved into place; it has not been written
 * to for a while. */
enum { SIM_IS_MOVED = 1, SIM_IS_OLD = 2 };

/* Flags of SIM_LISTED: another list waits for room; there have been no faults
 * for a long time. */
enum { SIM_LIST_WAITS = 1, SIM_LIST_SETTLED = 2 };

struct sim_record {
    uint8_t kind, flags, status, fate;
    int16_t server;
    uint16_t sends;
    uint32_t link; /* the serial number of a connection */
    uint64_t token;
    uint64_t time_us;
    uint64_t value;
    uint64_t waited_us, answered_us; /* of an outcome; or as above */
};

struct sim_history {
    struct sim_record *list;
    size_t count, room;
};

void sim_record(struct sim_history *history, const struct sim_record *record);
void sim_history_clear(struct sim_history *history);

/* Of all its records: two equal runs have the same hash. */
uint64_t sim_history_hash(const struct sim_history *history);

/* Returns the first rule that was broken, and in *at the record that broke it;
 * or NULL.  Tokens count from 1; memory grows with the largest. */
const char *sim_check(const struct sim_history *history, size_t *at);

/* The same for the rules about names and files. */
const char *sim_check_names(const struct sim_history *history, size_t *at);

/* Print the records of one call. */
void sim_history_print(const struct sim_history *history, uint64_t token);

#endif
