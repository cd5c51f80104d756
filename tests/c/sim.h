/* The simulator: the real engine between a fake application and fake servers,
 * under a fake clock.
 *
 * Everything that happens is decided by the dice: a seed, or the bytes of a
 * fuzzer.  Each run first draws how hostile its world shall be. */

#ifndef SIM_H
#define SIM_H

#include "engine/connection.h"
#include "engine/engine.h"
#include "sim_check.h"

/* Slots for servers, and names that they may have. */
enum { SIM_SERVERS = 8, SIM_PORTS = 12, SIM_CAPACITY = 64 };

/* Slots in a world of names, where more servers come and go. */
enum { SIM_SLOTS = 40 };

/* Connections that a server has room for, at most. */
enum { SIM_WIDTH = 4, SIM_CONNS = SIM_SLOTS * SIM_WIDTH };

enum sim_fault {
    SIM_REFUSED,
    SIM_SILENT, /* the SYN gets no answer */
    SIM_RESET,
    SIM_FIN,
    SIM_STALL,     /* a server stops reading for a while */
    SIM_FORGOTTEN, /* a connection goes silent for ever, both ways */
    SIM_SHORT,     /* a send takes some bytes only, or none */
    SIM_NO_REPLY,
    SIM_TWICE,
    SIM_LATE,
    SIM_FOREIGN, /* to a call of another connection, or of nobody */
    SIM_STRING_ID,
    SIM_EARLY, /* before the request's last byte */
    SIM_BAD_PAYLOAD,
    SIM_BAD_FRAME,
    SIM_CUT, /* the connection ends within a reply */
    SIM_CHATTER,
    SIM_CLOCK, /* a step forward */
    SIM_CANCELLED,
    SIM_UNREADABLE, /* a server cannot read a request: an error with id null */
    SIM_PAUSED,     /* we stop receiving for a while */
    SIM_CLOSING,    /* a server accepts, and closes without an answer */
    SIM_REENTRANT,  /* an outcome makes its receiver submit another call */
    SIM_LONG,       /* a call with a timeout of many minutes */
    SIM_LIST,       /* the list of servers changes */
    SIM_MEMORY,
    SIM_FAULTS
};

extern const char *const sim_fault_names[SIM_FAULTS];

/* What happens to hellos and pings. */
enum sim_hello_fault {
    SIM_HELLO_SILENT,
    SIM_HELLO_REFUSED,
    SIM_HELLO_LATE,
    SIM_HELLO_FOREIGN, /* a response with another id comes before it */
    SIM_HELLO_GARBAGE,
    SIM_HELLO_TWICE,
    SIM_HELLO_BROKEN,  /* the connection ends instead */
    SIM_HELLO_CHANGED, /* the next connections say something else */
    SIM_HELLO_FAULTS
};

extern const char *const sim_hello_fault_names[SIM_HELLO_FAULTS];

struct sim_hello {
    bool is_on;
    uint32_t odds[SIM_HELLO_FAULTS];
    uint64_t faults[SIM_HELLO_FAULTS];
    uint32_t total; /* requests of the next connections */
    uint32_t ping_ms;
    uint64_t pings;
};

/* What happens to lookups, and to files. */
enum sim_name_fault {
    SIM_NAME_FAILED,
    SIM_NAME_NONE, /* there is no such name, says the answer */
    SIM_NAME_CLOSED,
    SIM_NAME_SLOW,
    SIM_NAME_REFUSED, /* a lookup cannot begin */
    SIM_NAME_TORN,    /* a file is written to while it is read */
    SIM_NAME_UNNOTICED,
    SIM_NAME_FAULTS
};

extern const char *const sim_name_fault_names[SIM_NAME_FAULTS];

enum { SIM_TARGETS = 5 }; /* servers that a name may stand for */

struct sim_names {
    bool is_on;
    uint32_t odds[SIM_NAME_FAULTS];
    uint64_t faults[SIM_NAME_FAULTS];
    uint32_t refresh_ms, min_ms, srv_ms, max;
    uint32_t change_us;          /* between changes of what there is */
    uint32_t truth[SIM_SOURCES]; /* which of its targets there are */
    uint32_t flavour;            /* priorities and weights of records */
    uint64_t version;            /* of the file */
    bool is_old, has_name;       /* the file; it has a name in it */
    bool moved, lookup_moved;    /* it was, since the last look; before that */
    uint32_t written;            /* sources in the list */
    uint64_t plain, noted;       /* servers in the list, and as last noted */
    bool waited;
};

/* How hostile: odds in 1000 and spans in microseconds. */
struct sim_world {
    uint32_t odds[SIM_FAULTS];
    uint32_t span_us; /* of most delays */
    uint32_t chunk;
    uint32_t window;    /* bytes that the kernel takes */
    uint32_t record;    /* bytes that are encrypted together; 0: none are */
    bool proves;        /* every connection gets one call first */
    uint32_t remote;    /* odds of a remote error */
    uint32_t change_us; /* between changes of a server's mood */
    uint32_t pace_us;   /* between submits */
    uint32_t memory;    /* odds in 65536 that an allocation fails */
    uint32_t calls;
    bool closes;
};

enum sim_mood { SIM_ACCEPTS, SIM_REFUSES, SIM_MUTE, SIM_CLOSES, SIM_MOODS };

/* A request that the kernel has whole and the server has not read yet. */
struct sim_request {
    uint64_t token, id, end; /* offset in the stream */
    bool is_hello, accepts;  /* its token: which one of the hello; an error is
                                as good as a result */
};

/* Of a server: since when it has not served, or has been up. */
struct sim_service {
    uint64_t down_us, up_us;
    uint32_t uses;
    bool was_down, was_up;
};

/* The other end of a connection. */
struct sim_link {
    uint32_t serial;
    bool connecting, open, writing, deaf, forgotten, fin, reset;
    unsigned addresses; /* left to try */
    char *up;           /* given to the kernel and not a whole frame yet */
    size_t up_len, up_room;
    uint64_t given, read; /* offsets in the stream */
    uint64_t noted;       /* up to there it was noted what has begun */
    size_t record;        /* bytes in the record that is leaving */
    size_t record_left;   /* of its ciphertext */
    struct sim_request *requests;
    size_t request_count, request_room;
    char *down; /* written by the server and not received yet */
    size_t down_len, down_room;
    bool delivering, held; /* held: not received, as we are paused */
    uint64_t early_id;     /* answered before it was whole */
    bool spoke;            /* it has sent something that was received */
    uint64_t notified_us;  /* when it first got a notification; 0: never */
    uint32_t hello_total,
        hello_answered;  /* requests of its hello: all of them, and
                        those answered as they have to be */
    bool hello_refused;  /* one has been refused */
    uint64_t greet_us;   /* since when it says its hello, or we listen again */
    unsigned late_turns; /* in which its time was up */
    uint64_t heard_us;   /* when bytes last came, or it was opened */
    uint64_t ping_id;    /* of the ping that awaits its response */
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
    SIM_ON_LOOKUP,  /* its answer */
    SIM_ON_ZONE,    /* what there is changes */
    SIM_ON_RECOVER, /* a deaf server hears again */
    SIM_ON_RESUME   /* we receive again */
};

struct sim_event {
    uint64_t time_us, order;
    enum sim_event_kind kind;
    uint32_t server, serial; /* or the connection, where there is a serial */
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
    struct jrc_server_list first; /* until the engine is there */
    struct sim_link links[SIM_CONNS];
    enum sim_mood moods[SIM_SLOTS];
    struct sim_event *events; /* a heap, soonest first */
    size_t event_count, event_room;
    uint64_t event_order;
    uint64_t now_us, close_us;
    uint64_t routes[SIM_CAPACITY];  /* what was last seen of each slot */
    uint64_t ids[SIM_CAPACITY * 2]; /* of requests seen lately, anywhere */
    uint64_t tokens[SIM_CAPACITY * 2];
    unsigned seen;
    uint64_t last_token, last_nonce;
    uint64_t last_id;
    uint32_t last_serial;
    bool healing, closing, closed, pauses, paused;
    bool all_down;                           /* as reported */
    enum jrc_server_state states[SIM_SLOTS]; /* when the engine was entered */
    enum jrc_server_state conn_states[SIM_CONNS];
    bool changing;               /* the engine takes in a list */
    uint64_t left_us[SIM_SLOTS]; /* when a server last left the list */
    uint32_t leave_ms;
    uint64_t renewals;
    uint32_t subset; /* servers of each group that are to be used; 0: all */
    struct sim_service service[SIM_SLOTS];
    uint64_t last_deadline_us;
    unsigned long_calls;
    const char *broken; /* the first rule broken outside the checker */
    /* the dice */
    uint64_t state;
    const uint8_t *script;
    size_t script_len, script_at;
    /* Makes allocations fail, or NULL; see fault_memory_rate(). */
    void (*memory)(uint32_t rate, uint64_t seed);
    uint64_t faults[SIM_FAULTS];
    uint64_t outcomes[JSONRPCC_EDEADLK + 1];
    uint64_t submitted, steps;
};

/* One whole run.  Returns the rule broken, or NULL; *at says where in
 * sim->history.  sim_clear() afterwards. */
const char *sim_run(struct sim *sim, uint64_t seed, size_t *at);
const char *sim_run_script(struct sim *sim, const uint8_t *script, size_t len,
                           size_t *at);
void sim_clear(struct sim *sim);

/* ---- between the parts of the simulator -----------------------------------
 */

uint32_t sim_roll(struct sim *sim, uint32_t sides); /* 0 ... sides - 1 */
bool sim_strikes(struct sim *sim, enum sim_fault fault);
void sim_schedule(struct sim *sim, uint64_t delay_us, struct sim_event event);
void sim_note(struct sim *sim, struct sim_record record);
void sim_fail(struct sim *sim, const char *rule);

struct sim_event sim_take_event(struct sim *sim); /* the soonest */
void sim_draw_world(struct sim *sim);

/* The engine's sink. */
void sim_on_outcome(void *arg, const struct jrc_call *call,
                    const jsonrpcc_outcome *outcome);
void sim_on_event(void *arg, const jsonrpcc_event *event);

/* sim_pool.c: the connections of a server: what is so when the engine is
 * entered, and what holds when it is left; and when the faults are gone. */
void sim_pool_enter(struct sim *sim);
void sim_pool_leave(struct sim *sim);
void sim_pool_check_end(struct sim *sim);
uint32_t sim_pool_server(const struct sim *sim, uint32_t conn);

/* sim_app.c.  nested: while the engine works, from inside an outcome. */
void sim_submit(struct sim *sim, uint8_t flags, int32_t timeout_ms,
                bool nested);
void sim_submit_some(struct sim *sim);

/* sim_list.c: the list of servers: the first one, another one, what holds at
 * any time and for every outcome, and the end of changes that still wait. */
void sim_list_begin(struct sim *sim);
void sim_list_expand(struct sim *sim); /* once there is an engine */
void sim_list_change(struct sim *sim);
void sim_list_check(struct sim *sim);
void sim_list_check_outcome(struct sim *sim, const jsonrpcc_outcome *outcome);
void sim_list_check_end(struct sim *sim);
void sim_list_settle(struct sim *sim,
                     void (*run)(struct sim *sim, uint64_t us));
/* Have something change the list inside the engine. */
void sim_list_apply(struct sim *sim, void (*change)(struct sim *sim, void *arg),
                    void *arg);

/* sim_names.c: the world; the names that a list shall have, which are written
 * to text; the servers of the list as bits; lookups that are due, and their
 * answers; what there is changes, or is there again; notes for the checker. */
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

/* sim_subset.c: how many servers of each group are to be used; what is so when
 * the engine is left; whether there are spares; what holds after a tick; and
 * when the faults are gone. */
void sim_subset_draw(struct sim *sim, uint64_t seed);
void sim_subset_leave(struct sim *sim);
bool sim_subset_has_spares(const struct sim *sim);
void sim_subset_check(struct sim *sim);
void sim_subset_check_end(struct sim *sim);

/* sim_hello.c: the world; the first hello, and perhaps another one; a frame on
 * the wire that may be of one (its payload's size, or 0), that it has begun to
 * leave, that the server has it, and replies to it; what holds at any time, and
 * at the end of a turn. */
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

/* sim_run.c: one turn of the engine; and turns, until then. */
void sim_work(struct sim *sim);
void sim_run_until(struct sim *sim, uint64_t until_us);

/* sim_heal.c: the faults are gone; and what must hold a while later. */
void sim_heal(struct sim *sim);
void sim_heal_check(struct sim *sim);

/* Around every call of the engine. */
void sim_enter(struct sim *sim);
void sim_leave(struct sim *sim);

/* sim_link.c: sockets and the servers behind them. */
void sim_link_clear(struct sim_link *link);
void sim_link_act(struct sim *sim, const struct jrc_action *action);
void sim_link_event(struct sim *sim, const struct sim_event *event);
void sim_link_heal(struct sim *sim, uint32_t i);
void sim_link_resume(struct sim *sim, uint32_t i);

/* sim_witness.c: of the bytes that the kernel is offered the server can read n
 * now, and as many as ahead have begun to leave behind them. */
void sim_witness_take(struct sim *sim, uint32_t i, const char *bytes,
                      size_t len, size_t n, size_t ahead);

/* sim_server.c: what a server says.  Appends to link->down. */
void sim_server_say(struct sim_link *link, const char *bytes, size_t len);
void sim_server_request(struct sim *sim, uint32_t i,
                        const struct sim_request *request);
void sim_server_reply(struct sim *sim, uint32_t i, uint64_t token, uint64_t id);
void sim_server_early(struct sim *sim, uint32_t i);

#endif
