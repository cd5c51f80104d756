/* What is known of the servers: their table, and the states that they are in.
 *
 * Policy: see engine/servers.h, and engine/servers_set.h for the list.  Not
 * thread-safe but for what is atomic; the engine owns it. */

#ifndef JRC_SERVER_H
#define JRC_SERVER_H

#include "engine/balance.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state of a server, which is that of its best connection (see pool.h):
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
 * both back: from LEAVING to the state before, from GONE to DOWN.  When the
 * list has it and the subset does not, release() moves it to LEAVING or DOWN,
 * where it ends as well, and reclaim() brings it back from LEAVING.
 *
 * A server that has not failed since its last response goes straight to UP; if
 * renew() moved it from SUSPECT to DOWN, it comes back as SUSPECT.  While
 * PROVING or SUSPECT, it is on trial: it gets single calls, unless no server is
 * UP.  If there is a prove_us, every connection begins as PROVING, and until
 * its first response it gets single calls whatever others are.  A transport's
 * handshake is part of CONNECTING, since an attempt has one deadline.  The
 * values are those of jsonrpcc_server_state.
 *
 * While its first connection is GREETING, that is, waits for the response to
 * its hello, a server is CONNECTING.  greeted() makes it UP, or SUSPECT.
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
    JRC_SERVER_GONE = 6,    /* not in the list; its slot has its name for
                               JRC_GONE_US at least */
    JRC_SERVER_GREETING = 7 /* of a connection only: established, and its hello
                               is not answered yet */
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

/* What is to be done with the connections of a server, see engine/subset.h. */
enum jrc_move { JRC_STAYS, JRC_RELEASED, JRC_RETURNS };

struct jrc_server {
    /* Read by any thread; the list owns the texts.  Numeric IPv6 without its
     * brackets; all of "unix:/path" or "fd:7". */
    char *_Atomic host;
    _Atomic uint16_t port; /* 0: a Unix socket or a descriptor */
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
    bool once; /* a connection that is lost is not made anew, nor renewed */
    _Atomic bool spare; /* in the list and not in the subset: DOWN for good, or
                           LEAVING; read by any thread */
    enum jrc_move move;
    uint64_t turned_us; /* since when it serves, or does not; or it was a spare
                           before */
    enum jrc_server_change change;
    enum jrc_server_state before;         /* LEAVING: the state before */
    _Atomic(enum jrc_server_state) state; /* read by any thread */
    _Atomic uint64_t since_us;            /* when it last changed; read by
                                             any thread */
    uint32_t turn;                        /* which of its connections is next */
    _Atomic int32_t reason; /* why its last connection or attempt ended; read by
                               any thread */
    _Atomic int64_t code;   /* of the last error in response to a hello; read by
                               any thread */
    bool unreachable;       /* its last attempt failed, and that was reported */
    bool tried;        /* its first attempt, or the one to renew, is over */
    bool renewing;     /* comes up as a suspect, until it is down again */
    uint32_t failures; /* in a row; reset by a response only */
    uint32_t timeouts; /* in a row, with no response in between */
    uint64_t next_us;  /* DOWN: the next attempt */
    uint64_t asked_us; /* the last attempt that calls asked for; 0: none */
    uint64_t trial_us; /* SUSPECT, PROVING: the next trial */
    uint64_t tried_us; /* the last one of this connection; 0: none yet */
    bool unproven;     /* gets nothing but trials, even if nobody is UP */
};

/* A server that is listed, and its place among those of its group: larger ranks
 * come first. */
struct jrc_ranked {
    uint64_t rank;
    uint32_t group, server;
};

/* Which servers are used, see engine/subset.h. */
struct jrc_subset {
    uint32_t most; /* of each group; 0: all */
    uint64_t seed, patience_us;
    struct jrc_ranked *order; /* of those in the list, best first */
    size_t count;
    uint64_t due_us; /* when to look again; 0: there are moves, or attempts */
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
    size_t unproven;          /* those of them that get nothing but trials */
    size_t connecting;        /* servers that are CONNECTING */
    uint64_t trial_us;        /* the soonest trial of one of those */
    uint64_t choice_us;       /* how long to wait for a better first choice */
    bool has_names;           /* servers may yet come from names ... */
    bool awaits_names;        /* ... whose first lookup is waited for */
    uint64_t base_us, cap_us; /* the pauses between attempts, or trials */
    uint64_t trial_time_us;   /* what a trial may take: cap_us, but at least as
                                 long as a server has to accept a connection, or
                                 one that is slower than cap_us would stay in
                                 doubt for ever */
    int32_t max_attempts;     /* to reconnect in a row; -1: no bound */
    struct jrc_subset subset;
    uint64_t prove_us; /* 0; or a connection gets one call in so long until
                          its first response, even if nobody is UP */
};

/* Whether the state of a server may change like this.  Staying is not a
 * move. */
bool jrc_server_may_move(enum jrc_server_state from, enum jrc_server_state to);

/* Whether the list has it. */
static inline bool jrc_server_is_listed(const struct jrc_server *server)
{
    return server->state != JRC_SERVER_GONE &&
           (server->state != JRC_SERVER_LEAVING || server->spare);
}

/* Whether it is on trial. */
static inline bool jrc_server_is_doubted(const struct jrc_server *server)
{
    return server->state == JRC_SERVER_SUSPECT ||
           server->state == JRC_SERVER_PROVING;
}

/* Whether a server has a connection that can carry bytes; and whether one in
 * that state can. */
static inline bool jrc_state_is_connected(enum jrc_server_state state)
{
    return (state >= JRC_SERVER_UP && state <= JRC_SERVER_LEAVING) ||
           state == JRC_SERVER_GREETING;
}

static inline bool jrc_server_is_connected(const struct jrc_server *server)
{
    return jrc_state_is_connected(
        atomic_load_explicit(&server->state, memory_order_relaxed));
}

#endif
