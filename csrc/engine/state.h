/* What the parts of the engine share: its struct, and small functions that they
 * all use.  Times are monotonic microseconds. */

#ifndef JRC_STATE_H
#define JRC_STATE_H

#include "engine/call_table.h"
#include "engine/counters.h"
#include "engine/discovery.h"
#include "engine/hello.h"
#include "engine/inbox.h"
#include "engine/outbox.h"
#include "engine/servers.h"
#include "engine/servers_parse.h"
#include "jsonrpcc.h"
#include "wire/envelope.h"

#define JRC_NO_CONN UINT32_MAX

enum jrc_todo {
    JRC_OPEN = 1,         /* begin an attempt: its first address */
    JRC_NEXT_ADDRESS = 2, /* the address took too long: try the next one */
    JRC_SHUT = 4,         /* close the socket, and do not report it */
    JRC_WRITE = 8,        /* there is output */
    JRC_MEASURE = 16      /* call jrc_engine_held() */
};

/* What calls that find no server can expect. */
enum jrc_outlook {
    JRC_OUTLOOK_READY,
    JRC_OUTLOOK_PENDING, /* a first attempt is under way */
    JRC_OUTLOOK_DOWN,    /* all are known to be down */
    JRC_OUTLOOK_HOPELESS /* ... and no further attempt will be made */
};

struct jrc_action {
    uint32_t conn;
    uint32_t todo; /* one of enum jrc_todo */
};

/* How the engine reports to its owner while it works.  The sink must not call
 * the engine. */
struct jrc_sink {
    void *arg;
    void (*outcome)(void *arg, const struct jrc_call *call,
                    const jsonrpcc_outcome *outcome);
    void (*event)(void *arg, const jsonrpcc_event *event);
};

enum { JRC_ORPHANS = 8 };

/* What was sent on a connection and no longer belongs to a call, but may still
 * be answered: an error without an id may be about it. */
struct jrc_orphans {
    uint64_t ids[JRC_ORPHANS]; /* of calls that timed out or were cancelled */
    uint8_t count;
    bool more; /* or something that no later response can settle */
};

/* What the engine itself says on a connection, see greeting.h. */
struct jrc_greeting {
    struct jrc_hello *hello; /* of this connection, with a reference; or NULL */
    uint64_t id; /* of the request that awaits its response; 0: none does */
    uint64_t last_id; /* the last one used */
    uint32_t next;    /* the first request of the hello without a response */
    int32_t failed;   /* why the hello has; 0: it has not */
    int32_t why;  /* ... on the first address of this attempt where it did */
    bool was_due; /* its time was up when it was last looked at */
    uint64_t said_us; /* when the ping was sent */
    uint64_t ping_us; /* when to look at pings again; 0: there are none */
};

/* A connection.  Server i has those from i * width on, as many as width. */
struct jrc_conn {
    struct jrc_frames out;
    struct jrc_input in;
    struct jrc_envelope envelope; /* of the last result */
    struct jrc_call_list sent;
    struct jrc_orphans orphans;
    uint64_t
        deadline_us; /* of the address being tried, of a trial, or to leave */
    uint64_t looked_us; /* a trial's deadline that has been put off to this, to
                           receive once more */
    uint64_t trial_id;  /* a suspect's: the call from which deadline_us counts;
                           0: from no call */
    uint64_t rejected_us; /* when an error without an id was last reported */
    uint64_t heard_us;    /* when bytes last came */
    uint64_t moved_us;    /* when bytes last left */
    uint64_t trial_end;   /* bytes_sent when the trial began, or had left */
    uint64_t taken;       /* of bytes_sent, by the peer's system, when that was
                             last measured; JRC_NEVER: not since the trial */
    uint64_t measured_us; /* for a time that ended then */
    struct jrc_greeting greeting;
    bool blocked;       /* the socket did not take all of the output */
    uint32_t todo;      /* actions not fetched yet */
    uint32_t todo_next; /* chains connections that have some */
    uint32_t uses;      /* as those of the slot: whose numbers these are */
    bool is_leaving;    /* in the chain of those that leave */
    uint32_t leaving_next;
    /* See pool.h: */
    bool replaces;     /* or would, if the attempt succeeds, an older one */
    bool unproven;     /* PROVING when its server became a suspect */
    uint32_t failures; /* in a row; reset by a response only */
    uint32_t misses;   /* timeouts in a row */
    uint64_t next_us;  /* DOWN: the next attempt while its server is UP */
    uint64_t trial_us; /* PROVING: the next trial while its server is UP */
    uint64_t tried_us; /* PROVING: the last trial; 0: none yet */
    uint64_t renew_us; /* UP: when another one is to take its place */
    enum jrc_server_state before; /* LEAVING: the state before */
    /* Read by other threads: */
    _Atomic(enum jrc_server_state) state;
    _Atomic uint64_t in_flight;
    _Atomic uint64_t connects, losses, attempts_failed, renewals;
    _Atomic uint64_t sends, responses, timeouts;
    _Atomic uint64_t bytes_sent, bytes_received;
};

struct jrc_engine {
    struct jrc_servers *servers;
    struct jrc_conn *conns;
    uint32_t wide;    /* how many connections a server is to have */
    uint32_t width;   /* how many it has room for */
    uint32_t proving; /* how many connections are PROVING */
    struct jrc_calls *calls;
    jsonrpcc_options options; /* defaults filled in; servers is not used */
    struct jrc_sink sink;
    struct jrc_counters counters;
    struct jrc_tally *tallies; /* by the method of a call */
    size_t tally_count;
    struct jrc_frames waiting; /* for a server */
    struct jrc_frames spare;   /* empty: memory for the next output */
    struct jrc_shared_input shared;
    struct jrc_hello *hello; /* of the next connections; or NULL */
    struct jrc_discovery discovery;
    uint64_t names_us; /* when a name needs attention */
    size_t left_out;   /* servers of names for which there is no room */
    bool is_behind;    /* there was no memory for what is known of names */
    struct jrc_server_list wanted; /* a list that found no room */
    uint64_t wanted_us;  /* when to try again to take it in; JRC_NEVER: no */
    uint32_t leaving;    /* chain of connections whose servers leave */
    uint32_t todo_first; /* chain of connections with actions */
    uint32_t last_group; /* of the last call that went to a server */
    uint64_t conns_us;   /* when the next connection needs attention */
    uint64_t random;
    uint64_t reading_us; /* since when sockets are read; JRC_NEVER: they are
                            not, because the consumer has fallen behind */
    uint64_t chosen;     /* the only call that may be a trial; 0: any */
    size_t held_bytes;   /* in waiting and in all outputs */
    enum jrc_outlook outlook; /* of waiting calls */
    bool all_down;            /* as reported */
    bool closing;
};

/* Whether calls may be given to a connection, though maybe one at a time. */
static inline bool jrc_conn_gets_calls(const struct jrc_conn *conn)
{
    enum jrc_server_state state =
        atomic_load_explicit(&conn->state, memory_order_relaxed);

    return state == JRC_SERVER_UP || state == JRC_SERVER_PROVING;
}

/* The server of connection i. */
static inline uint32_t jrc_engine_server_of(const struct jrc_engine *engine,
                                            uint32_t i)
{
    return engine->width > 1 ? i / engine->width : i;
}

static inline struct jrc_server *jrc_engine_server(
    const struct jrc_engine *engine, uint32_t i)
{
    return &engine->servers->list[jrc_engine_server_of(engine, i)];
}

/* The first connection of a server; those of the next one follow its last. */
static inline uint32_t jrc_engine_first_conn(const struct jrc_engine *engine,
                                             uint32_t server)
{
    return server * engine->width;
}

/* How many connections there may be by now. */
static inline uint32_t jrc_engine_conn_count(const struct jrc_engine *engine)
{
    return (uint32_t)engine->servers->count * engine->width;
}

/* Forget what belonged to the last server of the slot: nothing is open. */
void jrc_conn_reset(struct jrc_conn *conn);

/* Have jrc_engine_next() return todo for connection i. */
void jrc_engine_want(struct jrc_engine *engine, uint32_t i, uint32_t todo);

/* Note that a connection needs attention at at_us. */
void jrc_engine_attend(struct jrc_engine *engine, uint64_t at_us);

/* Report an event of the server of connection i to the owner; i is JRC_NO_CONN
 * if it is about all servers. */
void jrc_engine_emit(struct jrc_engine *engine, jsonrpcc_event_kind kind,
                     uint32_t i, int32_t reason, uint64_t now_us);

/* A random number to spread attempts; not fit for secrets. */
uint32_t jrc_engine_roll(struct jrc_engine *engine);

#endif
