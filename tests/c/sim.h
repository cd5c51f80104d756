/* The simulator: the real engine between a fake application and fake servers,
 * under a fake clock.
 *
 * The dice decide everything that happens: they are rolled from a seed, or read
 * from a fuzzer's bytes.  Each run first draws how hostile its world is. */

#ifndef SIM_H
#define SIM_H

#include "engine/connection.h"
#include "engine/engine.h"
#include "sim_check.h"

/* Slots for servers, the ports that a list may name, and slots for calls. */
enum { SIM_SERVERS = 8, SIM_PORTS = 12, SIM_CAPACITY = 64 };

/* Slots for servers in a world with names, where more of them come and go. */
enum { SIM_SLOTS = 40 };

/* The most connections that a server has room for. */
enum { SIM_WIDTH = 4, SIM_CONNS = SIM_SLOTS * SIM_WIDTH };

enum sim_fault {
    SIM_REFUSED,
    SIM_SILENT, /* nothing answers the SYN */
    SIM_RESET,
    SIM_FIN,
    SIM_STALL,     /* the server stops reading for a while */
    SIM_FORGOTTEN, /* the connection is dead for good, and nobody says so */
    SIM_SHORT,     /* the kernel takes some of the bytes, or none */
    SIM_NO_REPLY,
    SIM_TWICE,
    SIM_LATE,
    SIM_FOREIGN, /* a reply to another connection's call, or to no call */
    SIM_STRING_ID,
    SIM_EARLY, /* a reply before the request's last byte */
    SIM_BAD_PAYLOAD,
    SIM_BAD_FRAME,
    SIM_CUT, /* the connection ends in the middle of a reply */
    SIM_CHATTER,
    SIM_CLOCK, /* the clock jumps forward */
    SIM_CANCELLED,
    SIM_UNREADABLE, /* an error with id null: the request was unreadable */
    SIM_PAUSED,     /* we stop receiving for a while */
    SIM_CLOSING,    /* the server accepts, then closes without a reply */
    SIM_REENTRANT,  /* the callback of an outcome submits another call */
    SIM_LONG,       /* a call with a timeout of many minutes */
    SIM_LIST,       /* the application sets another list of servers */
    SIM_MEMORY,
    SIM_FAULTS
};

extern const char *const sim_fault_names[SIM_FAULTS];

/* What can go wrong with a hello or a ping. */
enum sim_hello_fault {
    SIM_HELLO_SILENT,
    SIM_HELLO_REFUSED,
    SIM_HELLO_LATE,
    SIM_HELLO_FOREIGN, /* a response with another id comes first */
    SIM_HELLO_GARBAGE,
    SIM_HELLO_TWICE,
    SIM_HELLO_BROKEN,  /* the connection ends instead */
    SIM_HELLO_CHANGED, /* the application sets another hello */
    SIM_HELLO_FAULTS
};

extern const char *const sim_hello_fault_names[SIM_HELLO_FAULTS];

struct sim_hello {
    bool is_on;
    uint32_t odds[SIM_HELLO_FAULTS];
    uint64_t faults[SIM_HELLO_FAULTS];
    uint32_t total; /* requests in the hello of new connections */
    uint32_t ping_ms;
    uint64_t pings;
};

/* What can go wrong with a lookup, or with a file. */
enum sim_name_fault {
    SIM_NAME_FAILED,
    SIM_NAME_NONE,   /* the answer says that the name does not exist */
    SIM_NAME_CLOSED, /* the records say that the service is not offered */
    SIM_NAME_SLOW,
    SIM_NAME_REFUSED,   /* the lookup cannot begin */
    SIM_NAME_TORN,      /* the file is written while it is read */
    SIM_NAME_UNNOTICED, /* nothing reports that the file has changed */
    SIM_NAME_FAULTS
};

extern const char *const sim_name_fault_names[SIM_NAME_FAULTS];

enum { SIM_TARGETS = 5 }; /* servers that a source may have */

struct sim_names {
    bool is_on;
    uint32_t odds[SIM_NAME_FAULTS];
    uint64_t faults[SIM_NAME_FAULTS];
    uint32_t refresh_ms, min_ms, srv_ms, max;
    uint32_t change_us;          /* between changes of the sources */
    uint32_t truth[SIM_SOURCES]; /* the targets that each has now, as bits */
    uint32_t flavour;            /* of records: priorities and weights */
    uint64_t version;            /* of the file */
    bool is_old, has_name; /* the file has not changed lately; it has a name */
    bool moved, lookup_moved; /* a file was moved into place: since the last
                                 lookup began; before it began */
    uint32_t written;         /* sources in the list, as bits */
    uint64_t plain; /* servers in the list that no source gave, as bits */
    uint64_t noted; /* servers in use at the last note, as bits */
    bool waited;    /* whether a list waited for room then */
};

/* How hostile the world is; odds are in 1000. */
struct sim_world {
    uint32_t odds[SIM_FAULTS];
    uint32_t span_us;   /* most delays are at most this */
    uint32_t calm_us;   /* ... and this, once the faults are over */
    uint32_t cap_us;    /* the longest pause between attempts, or trials */
    uint32_t chunk;     /* the most bytes received at once */
    uint32_t window;    /* the most bytes that the kernel holds */
    uint32_t record;    /* the most bytes of a TLS record; 0: no TLS */
    bool proves;        /* every connection has to prove itself */
    uint32_t remote;    /* odds that a reply is an error */
    uint32_t change_us; /* between changes of a server's mood */
    uint32_t pace_us;   /* between submits */
    uint32_t memory;    /* odds in 65536 that an allocation fails */
    uint32_t calls;
    bool closes;
};

enum sim_mood { SIM_ACCEPTS, SIM_REFUSES, SIM_MUTE, SIM_CLOSES, SIM_MOODS };

/* A request that the kernel has taken whole, and the server has not read. */
struct sim_request {
    uint64_t token, id, end; /* end: an offset in the stream */
    bool is_hello;           /* token is its place in the hello */
    bool accepts;            /* the hello goes on even after an error */
};

/* Since when a server has been out of service, or UP. */
struct sim_service {
    uint64_t down_us, up_us;
    uint32_t uses;
    bool was_down, was_up;
};

/* A connection, from the kernel to the server. */
struct sim_link {
    uint32_t serial;
    bool connecting, open;
    bool writing;         /* output waits for room in the kernel */
    bool deaf, forgotten; /* the server does not read; and never will */
    bool fin, reset;      /* how the server ended it */
    unsigned addresses;   /* left to try */
    char *up;             /* taken by the kernel, not yet a whole frame */
    size_t up_len, up_room;
    uint64_t given, read; /* by the kernel; by the server: offsets */
    uint64_t noted;       /* the checker knows of frames that begin before
                             this offset */
    size_t record;        /* bytes in the TLS record that is being sent */
    size_t record_left;   /* bytes of its ciphertext left to send */
    struct sim_request *requests;
    size_t request_count, request_room;
    char *down; /* written by the server, not yet received */
    size_t down_len, down_room;
    bool delivering;      /* an event will deliver them */
    bool held;            /* they wait until we receive again */
    uint64_t early_id;    /* of the request answered before it was whole */
    bool spoke;           /* we have received something */
    uint64_t notified_us; /* when the kernel took the first notification; 0:
                             it has taken none */
    uint32_t hello_total, hello_answered; /* requests of its hello: all, and
                                             those with a good reply */
    bool hello_refused;                   /* a reply was bad */
    uint64_t greet_us;   /* when it opened, or we last began to receive */
    unsigned late_turns; /* turns that its hello is overdue */
    uint64_t heard_us;   /* when bytes last came; or as greet_us */
    uint64_t asked_us;   /* when the first request was given, or we began to
                            receive after that */
    uint64_t tried_us;   /* the same, since it last became a suspect's */
    uint64_t took_us;    /* when the kernel last took bytes */
    uint64_t ping_id;    /* of the ping that waits for a response; 0: none */
};

enum sim_event_kind {
    SIM_ON_CONNECT,
    SIM_ON_READ,    /* the server reads */
    SIM_ON_DELIVER, /* bytes reach the client */
    SIM_ON_WRITABLE,
    SIM_ON_REPLY,
    SIM_ON_HELLO, /* the reply to a request of a hello */
    SIM_ON_MOOD,
    SIM_ON_BREAK,
    SIM_ON_SUBMIT,
    SIM_ON_CANCEL,
    SIM_ON_CLOSE,
    SIM_ON_LOOKUP,  /* a lookup gets its answer */
    SIM_ON_ZONE,    /* a source has other servers now */
    SIM_ON_RECOVER, /* a server that stalled reads again */
    SIM_ON_RESUME   /* we receive again */
};

struct sim_event {
    uint64_t time_us, order;
    enum sim_event_kind kind;
    uint32_t server, serial; /* if serial is set, server is a connection */
    uint64_t token, id;
};

struct sim {
    struct jrc_servers servers;
    struct jrc_calls calls;
    struct jrc_engine engine;
    struct jrc_frames pending;
    struct sim_history history;
    struct sim_world world;
    struct sim_hello hello;
    struct sim_names names;
    struct jrc_server_list first; /* until the engine exists */
    struct sim_link links[SIM_CONNS];
    enum sim_mood moods[SIM_SLOTS];
    struct sim_event *events; /* a heap, soonest first */
    size_t event_count, event_room;
    uint64_t event_order;
    uint64_t now_us, close_us;
    uint64_t routes[SIM_CAPACITY];  /* where each slot's call was last queued */
    uint64_t ids[SIM_CAPACITY * 2]; /* of requests that servers read lately */
    uint64_t tokens[SIM_CAPACITY * 2];
    unsigned seen;
    uint64_t last_token, last_nonce;
    uint64_t last_id;
    uint32_t last_serial;
    bool healing, closing, closed, pauses, paused;
    bool all_down;                           /* the last event said so */
    enum jrc_server_state states[SIM_SLOTS]; /* as the engine was entered */
    enum jrc_server_state conn_states[SIM_CONNS];
    bool changing;               /* the engine is changing its list */
    uint64_t left_us[SIM_SLOTS]; /* when a server last left the list */
    uint32_t leave_ms;
    uint64_t renewals;
    uint32_t subset; /* how many servers of each group to use; 0: all */
    struct sim_service service[SIM_SLOTS];
    uint64_t last_deadline_us;
    unsigned long_calls;
    const char *broken; /* the first rule reported by sim_fail() */
    /* the dice */
    uint64_t state;
    const uint8_t *script;
    size_t script_len, script_at;
    /* fault_memory_rate(), or NULL where allocations cannot be made to fail. */
    void (*memory)(uint32_t rate, uint64_t seed);
    uint64_t faults[SIM_FAULTS];
    uint64_t outcomes[JSONRPCC_EDEADLK + 1];
    uint64_t submitted, steps;
};

/* One whole run.  Returns the rule that was broken, and in *at the record of
 * sim->history that broke it; or NULL.  Call sim_clear() afterwards. */
const char *sim_run(struct sim *sim, uint64_t seed, size_t *at);
const char *sim_run_script(struct sim *sim, const uint8_t *script, size_t len,
                           size_t *at);
void sim_clear(struct sim *sim);

/* ---- between the parts of the simulator ---- */

uint32_t sim_roll(struct sim *sim, uint32_t sides); /* 0 ... sides - 1 */
uint64_t sim_delay(struct sim *sim);                /* up to world.span_us */
void sim_draw_world(struct sim *sim);

/* Whether this fault happens now. */
bool sim_strikes(struct sim *sim, enum sim_fault fault);

/* Add to the history; the time is filled in. */
void sim_note(struct sim *sim, struct sim_record record);

/* Report a broken rule, which ends the run. */
void sim_fail(struct sim *sim, const char *rule);

void sim_schedule(struct sim *sim, uint64_t delay_us, struct sim_event event);
/* For connection i, as long as it lasts. */
void sim_schedule_conn(struct sim *sim, uint64_t delay_us,
                       enum sim_event_kind kind, uint32_t i);
struct sim_event sim_take_event(struct sim *sim); /* the soonest */

/* The engine's sink. */
void sim_on_outcome(void *arg, const struct jrc_call *call,
                    const jsonrpcc_outcome *outcome);
void sim_on_event(void *arg, const jsonrpcc_event *event);

/* sim_pool.c, a server's connections: remember their states when the engine is
 * entered, check them when it is left, and again once the faults are over. */
void sim_pool_enter(struct sim *sim);
void sim_pool_leave(struct sim *sim);
void sim_pool_check_end(struct sim *sim);
uint32_t sim_pool_server(const struct sim *sim, uint32_t conn);

/* sim_app.c, the application.  nested: called from the callback of an outcome,
 * inside the engine. */
void sim_submit(struct sim *sim, uint8_t flags, int32_t timeout_ms,
                bool nested);
void sim_submit_some(struct sim *sim);

/* sim_list.c, the list of servers: the first list, before and after the engine
 * exists; a change; checks. */
void sim_list_begin(struct sim *sim);
void sim_list_expand(struct sim *sim);
void sim_list_change(struct sim *sim);
void sim_list_check(struct sim *sim);
void sim_list_check_outcome(struct sim *sim, const jsonrpcc_outcome *outcome);
void sim_list_check_end(struct sim *sim);

/* Run until no change waits. */
void sim_list_settle(struct sim *sim,
                     void (*run)(struct sim *sim, uint64_t us));

/* Call change(), which changes the engine's list, and check what it did. */
void sim_list_apply(struct sim *sim, void (*change)(struct sim *sim, void *arg),
                    void *arg);

/* sim_names.c, names and files: draw the world; write some of the sources to
 * text, for a list (returns its length); the bit of a server; begin what is
 * due; answer a lookup; change a source; end the faults; tell the checker about
 * the list, always or only if it has changed. */
void sim_names_draw(struct sim *sim, uint64_t seed);
size_t sim_names_write(struct sim *sim, char *text);
uint64_t sim_names_bit(const char *host, uint16_t port);
void sim_names_begin(struct sim *sim);
void sim_names_look_up(struct sim *sim);
void sim_names_answer(struct sim *sim, const struct sim_event *event);
void sim_names_change(struct sim *sim);
void sim_names_heal(struct sim *sim);
void sim_names_note(struct sim *sim, bool is_settled);
void sim_names_check(struct sim *sim);

/* sim_subset.c, which servers of a group are used: draw how many; remember what
 * is up when the engine is left; check after each tick, and once the faults are
 * over. */
void sim_subset_draw(struct sim *sim, uint64_t seed);
void sim_subset_leave(struct sim *sim);
bool sim_subset_has_spares(const struct sim *sim);
void sim_subset_check(struct sim *sim);
void sim_subset_check_end(struct sim *sim);

/* sim_hello.c, hellos and pings: draw the world; set the first hello, and
 * perhaps another in each turn; parse a payload (returns its size, or 0 if it
 * is none of a hello); its frame begins to leave; the server has read it; the
 * server replies; checks after each call of the engine, and after each turn. */
void sim_hello_draw(struct sim *sim, uint64_t seed);
void sim_hello_begin(struct sim *sim);
void sim_hello_turn(struct sim *sim);
size_t sim_hello_read(struct sim *sim, uint32_t i, const char *payload,
                      uint64_t *id, uint32_t *n);
void sim_hello_begun(struct sim *sim, uint32_t i, uint32_t n);
void sim_hello_request(struct sim *sim, uint32_t i, uint64_t id, uint32_t n,
                       bool accepts);
void sim_hello_reply(struct sim *sim, uint32_t i, uint64_t which, uint64_t id);
void sim_hello_check(struct sim *sim);
void sim_hello_check_end(struct sim *sim);

/* sim_run.c, the loop: one turn of the engine; turns until that time. */
void sim_work(struct sim *sim);
void sim_run_until(struct sim *sim, uint64_t until_us);

/* sim_heal.c: end all faults; check that everything recovers. */
void sim_heal(struct sim *sim);
void sim_heal_check(struct sim *sim);

/* Before and after every call of the engine. */
void sim_enter(struct sim *sim);
void sim_leave(struct sim *sim);

/* sim_connect.c, how connections begin and end: open connection i; try its next
 * address, as this one failed; the attempt ends; the connection is lost (before
 * its hello has succeeded, the next address is tried); we close our socket. */
void sim_connect_open(struct sim *sim, uint32_t i);
void sim_connect_next(struct sim *sim, uint32_t i, int32_t reason);
void sim_connect_finish(struct sim *sim, uint32_t i);
void sim_connect_lose(struct sim *sim, uint32_t i, int32_t reason);
void sim_connect_shut(struct sim *sim, uint32_t i);

/* sim_link.c: the sockets. */
void sim_link_clear(struct sim_link *link);
void sim_link_act(struct sim *sim, const struct jrc_action *action);
void sim_link_event(struct sim *sim, const struct sim_event *event);
void sim_link_heal(struct sim *sim, uint32_t i);
void sim_link_resume(struct sim *sim, uint32_t i);

/* sim_witness.c: the engine offers these bytes to the kernel.  The server can
 * read n of them now; the next ahead bytes have begun to leave, encrypted. */
void sim_witness_take(struct sim *sim, uint32_t i, const char *bytes,
                      size_t len, size_t n, size_t ahead);

/* sim_server.c: what a server says; it is appended to link->down. */
void sim_server_say(struct sim_link *link, const char *bytes, size_t len);
void sim_server_request(struct sim *sim, uint32_t i,
                        const struct sim_request *request);
void sim_server_reply(struct sim *sim, uint32_t i, uint64_t token, uint64_t id);
void sim_server_early(struct sim *sim, uint32_t i);

#endif
