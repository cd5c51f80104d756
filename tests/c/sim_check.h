/* The outcome checker: what a history of calls must look like.
 *
 * A history is what the caller saw (submits, outcomes, close) and what the
 * witness on the other side of the sockets saw (frames, replies), in order.
 * The checker knows the promises and nothing of how they are kept. */

#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between calls to a server that has not proved itself: while another one is
 * up, and where every connection has to. */
enum { SIM_TRIAL_US = 10000000, SIM_PROVE_US = 1000000 };

enum sim_kind {
    SIM_SUBMIT,  /* accepted: flags; value: the deadline */
    SIM_REFUSE,  /* not accepted: status */
    SIM_CANCEL,  /* asked for */
    SIM_ROUTED,  /* put into server's output; value: a better one was up;
                    waited_us: it has not proved itself, and must not have got
                    another call for so long */
    SIM_BEGUN,   /* its first byte was handed to the kernel: server, link */
    SIM_GIVEN,   /* its last byte: server, link */
    SIM_REPLY,   /* a server wrote a reply: status, server, link, value */
    SIM_OUTCOME, /* status, fate, server, sends, times; value: of the result, or
                    for EFAILURE whether a server was up */
    SIM_LOST,    /* link is gone */
    SIM_TICK,    /* the engine had the chance to end what is due */
    SIM_CLOSE,   /* close was asked for; value: when all must have ended */
    SIM_CLOSED,  /* close has ended */
    /* Of names and files, which have an id as their link, and their source as
     * server: */
    SIM_LOOKUP, /* looked up; waited_us: the least time since the last one began
                 */
    SIM_ANSWER, /* the answer, as status; value: the servers; flags: of a file;
                 waited_us: how long nothing has to be found; answered_us: the
                 file's version */
    SIM_NAMED,  /* in the next list; value: the servers that there are;
                   waited_us: the most time between an answer and a question */
    SIM_LISTED  /* value: the servers in the list; waited_us: those written in
                   it; sends: the sources written in it; answered_us: how many
                   servers there may be; flags */
};

/* Where servers come from: two names, records, and a file, which may have the
 * second name in it.  Servers are bits; that name is the bit SIM_NESTED above
 * SIM_SOURCE_BIT. */
enum { SIM_SRV = 2, SIM_FILE, SIM_SOURCES };
enum { SIM_NESTED = 1, SIM_SOURCE_BIT = 32 };

enum { SIM_IS_MOVED = 1, SIM_IS_OLD = 2 }; /* TOLD */
enum {
    SIM_LIST_WAITS = 1,
    SIM_LIST_SETTLED = 2
}; /* LISTED: for room; all is
      well since long */

struct sim_record {
    uint8_t kind, flags, status, fate;
    int16_t server;
    uint16_t sends;
    uint32_t link; /* a number for each connection that ever was */
    uint64_t token;
    uint64_t time_us;
    uint64_t value;
    uint64_t waited_us, answered_us; /* OUTCOME; ROUTED: waited_us */
};

struct sim_history {
    struct sim_record *list;
    size_t count, room;
};

void sim_record(struct sim_history *history, const struct sim_record *record);
void sim_history_clear(struct sim_history *history);

/* Over everything in it: the same run gives the same hash. */
uint64_t sim_history_hash(const struct sim_history *history);

/* The first rule broken, and the record where; NULL: none.  Tokens count from
 * 1 without gaps worth mentioning. */
const char *sim_check(const struct sim_history *history, size_t *at);

/* The same for what names and files have done to the list. */
const char *sim_check_names(const struct sim_history *history, size_t *at);

void sim_history_print(const struct sim_history *history, uint64_t token);

#endif
