/* Which server gets the next call: the list, its priority groups, round robin,
 * backoff, proof and suspicion.
 *
 * Policy only: the clock (now_us, monotonic microseconds) and the dice are
 * arguments, so a test is arithmetic.  Not thread-safe; the engine owns it. */

#ifndef JRC_SERVERS_H
#define JRC_SERVERS_H

#include "engine/balance.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state of a server, which is that of its connection:
 *
 *       attempt()             up()         answered()      timed_out()
 * DOWN ----------> CONNECTING -----> PROVING ---------> UP -----------> SUSPECT
 *   ^                                                    ^ answered()      |
 *   |                                                    +-----------------+
 *   +-- down() from all of them
 *
 * When the list no longer has it, leave() moves it to LEAVING if it is
 * connected, and otherwise to GONE.  A server that is LEAVING gets no new call,
 * and is GONE when the last one on its connection has ended.  join() brings
 * both back: from LEAVING to the state before, from GONE to DOWN.
 *
 * A server that has not failed since its last response goes straight to UP; if
 * renew() moved it from SUSPECT to DOWN, it comes back as SUSPECT.  While
 * PROVING or SUSPECT, it is on trial: it gets single calls, unless no server is
 * UP.  A transport's handshake is part of CONNECTING, since an attempt has one
 * deadline.  The values are those of jsonrpcc_server_state.
 *
 * Only set_state() in servers.c assigns it, and makes only the moves that
 * jrc_server_may_move() allows. */
enum jrc_server_state {
    JRC_SERVER_DOWN = 0,
    JRC_SERVER_CONNECTING = 1,
    JRC_SERVER_UP = 2,
    JRC_SERVER_SUSPECT = 3, /* connected, but out of rotation */
    JRC_SERVER_PROVING = 4, /* connected, but has not responded yet */
    JRC_SERVER_LEAVING = 5, /* connected for the calls it still has */
    JRC_SERVER_GONE = 6     /* not in the list; its slot has its name for
                               JRC_GONE_US at least */
};

enum { JRC_SERVER_STATES = JRC_SERVER_GONE + 1 };

enum {
    JRC_NO_SERVER = -1,      /* all are known to be down */
    JRC_SERVER_PENDING = -2, /* wait: a first attempt, or one that renews a
                                connection, is under way */
    /* This many timeouts in a row, without any response, make a suspect. */
    JRC_SUSPECT_AFTER = 5,
    /* How long calls of a new client wait for a better server whose first
     * attempt is under way, although a worse one is already up. */
    JRC_FIRST_CHOICE_US = 50000,
    /* While calls find every server down, each one is tried this often. */
    JRC_ASKED_US = 2000000,
    /* For so long the slot of a server that is gone gets no other one: outcomes
     * and events name the server by its slot. */
    JRC_GONE_US = 60000000
};

#define JRC_NEVER UINT64_MAX

/* What the last jrc_servers_set() did to a server. */
enum jrc_server_change { JRC_KEPT, JRC_JOINED, JRC_LEFT };

struct jrc_server {
    /* Read by any thread; the list owns the texts.  Numeric IPv6 without its
     * brackets; all of "unix:/path". */
    char *_Atomic host;
    _Atomic uint16_t port; /* 0: a Unix socket */
    _Atomic int32_t priority;
    _Atomic uint16_t srv_priority;
    _Atomic uint32_t weight;
    _Atomic uint32_t position; /* in the list */
    char *old_host;  /* of the slot's last server: a thread may be reading it */
    uint32_t uses;   /* how many servers the slot had before this one */
    uint32_t group;  /* index of its priority group, best first */
    uint32_t picked; /* of its share, while shares are made anew */
    _Atomic uint32_t name; /* the id of the name that it is from; 0: none */
    bool is_absolute;      /* no search domain is added to its host */
    enum jrc_server_change change;
    enum jrc_server_state before;         /* LEAVING: the state before */
    _Atomic(enum jrc_server_state) state; /* read by any thread */
    _Atomic uint64_t since_us;            /* when it last changed; read by
                                             any thread */
    bool tried;        /* its first attempt, or the one to renew, is over */
    bool renewing;     /* comes up as a suspect, until it is down again */
    uint32_t failures; /* in a row; reset by a response only */
    uint32_t timeouts; /* in a row, with no response in between */
    uint64_t next_us;  /* DOWN: the next attempt */
    uint64_t asked_us; /* the last attempt that calls asked for; 0: none */
    uint64_t trial_us; /* SUSPECT, PROVING: the next trial */
};

/* A table of slots, which never move, so that any thread may read what is
 * atomic in those below count.  A server keeps its slot for as long as it is in
 * the list, and is named by its index. */
struct jrc_servers {
    struct jrc_server *list;
    size_t max;           /* slots that there is room for */
    _Atomic size_t count; /* slots that have been in use */
    uint32_t group_count;
    uint32_t *ready; /* the servers in rotation, all of one group */
    size_t ready_count;
    size_t cursor;            /* in ready: the next one, if weights are equal */
    bool is_weighted;         /* they are not: the next one is that of shares */
    struct jrc_shares shares; /* of the servers in ready */
    uint32_t ready_group;     /* the group of the servers in ready, if any */
    size_t doubted;           /* servers that are SUSPECT or PROVING */
    size_t connecting;        /* servers that are CONNECTING */
    uint64_t trial_us;        /* the soonest trial of one of those */
    uint64_t choice_us;       /* how long to wait for a better first choice */
    bool has_names;           /* servers may yet come from names ... */
    bool awaits_names;        /* ... whose first lookup is waited for */
    uint64_t base_us, cap_us;
    int32_t max_attempts; /* to reconnect in a row; -1: no bound */
    bool all_prove;       /* the first connections, too */
};

/* Whether the state of a server may change like this.  Staying is not a
 * move. */
bool jrc_server_may_move(enum jrc_server_state from, enum jrc_server_state to);

/* Whether it has a connection that can carry bytes. */
static inline bool jrc_server_is_connected(const struct jrc_server *server)
{
    enum jrc_server_state state =
        atomic_load_explicit(&server->state, memory_order_relaxed);

    return state >= JRC_SERVER_UP && state <= JRC_SERVER_LEAVING;
}

/* Set the policy's numbers and allow the first attempts. */
void jrc_servers_start(struct jrc_servers *servers, uint64_t base_us,
                       uint64_t cap_us, int32_t max_attempts, uint64_t now_us);

/* Index of the server for the next call, which ends at end_us at the latest, or
 * JRC_NO_SERVER or JRC_SERVER_PENDING.  Sets *trial if the call is a trial;
 * with trial NULL, it must not be one. */
int32_t jrc_servers_pick(struct jrc_servers *servers, uint64_t now_us,
                         uint64_t end_us, bool *trial);

/* Pick the server that is next of those in rotation for which is_out(arg, i)
 * does not hold; JRC_NO_SERVER: none. */
int32_t jrc_servers_pick_other(struct jrc_servers *servers,
                               bool (*is_out)(const void *arg, uint32_t i),
                               const void *arg);

/* What pick would return, without changing anything.  An index stands for any
 * server. */
int32_t jrc_servers_peek(const struct jrc_servers *servers, uint64_t now_us);

/* Whether some pick at now_us may be a trial. */
bool jrc_servers_trial_due(const struct jrc_servers *servers, uint64_t now_us);

/* The server that every pick at now_us would return, or one of the values
 * above: JRC_NO_SERVER also if there are several. */
int32_t jrc_servers_sole(const struct jrc_servers *servers, uint64_t now_us);

/* Whether a call that finds no server should still wait. */
bool jrc_servers_hopeful(const struct jrc_servers *servers);

/* A call found every server down: have this one tried again soon, at a random
 * moment, so that many clients do not connect at once.  However many calls ask,
 * there is at most one such attempt in JRC_ASKED_US.  Returns the time of the
 * next attempt (JRC_NEVER: none is planned). */
uint64_t jrc_servers_ask(struct jrc_servers *servers, size_t i, uint64_t now_us,
                         uint32_t dice);

/* A server that is in the list now, though it was not: at_us is the time of its
 * first attempt.  Or it is in the list no more; or its last call has ended.
 * jrc_servers_regroup() has to follow the first two. */
void jrc_servers_join(struct jrc_servers *servers, size_t i, uint64_t at_us,
                      uint64_t now_us);
void jrc_servers_leave(struct jrc_servers *servers, size_t i, uint64_t now_us);
void jrc_servers_gone(struct jrc_servers *servers, size_t i, uint64_t now_us);
void jrc_servers_regroup(struct jrc_servers *servers);

/* What happened to a server. */
void jrc_servers_attempt(struct jrc_servers *servers, size_t i,
                         uint64_t now_us);
void jrc_servers_up(struct jrc_servers *servers, size_t i, uint64_t now_us);
/* One that is LEAVING is GONE then. */
void jrc_servers_down(struct jrc_servers *servers, size_t i, uint64_t now_us,
                      uint32_t dice);
/* Replace a suspect's connection at once.  False: no attempts are left for
 * that, and nothing has changed. */
bool jrc_servers_renew(struct jrc_servers *servers, size_t i, uint64_t now_us);
/* A trial has ended without a response, whatever the outcome of its call. */
void jrc_servers_tried(struct jrc_servers *servers, size_t i, uint64_t now_us);
/* A response has arrived, or the connection has proved itself in another way.
 * True: the server was on trial, and is now up. */
bool jrc_servers_answered(struct jrc_servers *servers, size_t i,
                          uint64_t now_us);
/* A call timed out; trial says whether it was one.  True: the server has just
 * become a suspect. */
bool jrc_servers_timed_out(struct jrc_servers *servers, size_t i,
                           uint64_t now_us, bool trial, uint32_t dice);

#endif
