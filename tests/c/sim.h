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
enum { SIM_SERVERS = 8, SIM_NAMES = 12, SIM_CAPACITY = 64 };

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

/* How hostile: odds in 1000 and spans in microseconds. */
struct sim_world {
    uint32_t odds[SIM_FAULTS];
    uint32_t span_us; /* of most delays */
    uint32_t chunk;
    uint32_t window;    /* bytes that the kernel takes */
    uint32_t record;    /* bytes that are encrypted together; 0: none are */
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
};

/* The other end of a connection. */
struct sim_link {
    uint32_t serial;
    bool connecting, open, writing, deaf, forgotten, fin, reset;
    unsigned addresses; /* left to try */
    char *up;           /* given to the kernel and not a whole frame yet */
    size_t up_len, up_room;
    bool begun;
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
};

enum sim_event_kind {
    SIM_ON_CONNECT,
    SIM_ON_READ,    /* the server reads */
    SIM_ON_DELIVER, /* bytes reach the client */
    SIM_ON_WRITABLE,
    SIM_ON_REPLY,
    SIM_ON_MOOD,
    SIM_ON_BREAK,
    SIM_ON_SUBMIT,
    SIM_ON_CANCEL,
    SIM_ON_CLOSE,
    SIM_ON_RECOVER, /* a deaf server hears again */
    SIM_ON_RESUME   /* we receive again */
};

struct sim_event {
    uint64_t time_us, order;
    enum sim_event_kind kind;
    uint32_t server, serial;
    uint64_t token, id;
};

struct sim {
    struct jrc_servers servers;
    struct jrc_calls calls;
    struct jrc_engine engine;
    struct jrc_frames pending;
    struct sim_history history;
    struct sim_world world;
    struct sim_link links[SIM_SERVERS];
    enum sim_mood moods[SIM_SERVERS];
    struct sim_event *events; /* a heap, soonest first */
    size_t event_count, event_room;
    uint64_t event_order;
    uint64_t now_us, close_us;
    uint64_t places[SIM_CAPACITY];  /* what was last seen of each slot */
    uint64_t ids[SIM_CAPACITY * 2]; /* of requests seen lately, anywhere */
    uint64_t tokens[SIM_CAPACITY * 2];
    unsigned seen;
    uint64_t last_token, last_nonce;
    uint64_t last_id;
    uint32_t last_serial;
    bool healing, closing, closed, pauses, paused;
    bool all_down; /* as reported */
    bool failed;   /* a call found no server since the engine was entered */
    enum jrc_server_state states[SIM_SERVERS]; /* when the engine was entered */
    bool changing;                             /* the engine takes in a list */
    uint64_t left_us[SIM_SERVERS]; /* when a server last left the list */
    uint32_t leave_ms;
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
void sim_at(struct sim *sim, uint64_t delay_us, struct sim_event event);
void sim_note(struct sim *sim, struct sim_record record);
void sim_break(struct sim *sim, const char *rule);

struct sim_event sim_take_event(struct sim *sim); /* the soonest */
void sim_draw_world(struct sim *sim);

/* The engine's sink. */
void sim_on_outcome(void *arg, const struct jrc_call *call,
                    const jsonrpcc_outcome *outcome);
void sim_on_event(void *arg, const jsonrpcc_event *event);

/* sim_app.c.  nested: while the engine works, from inside an outcome. */
void sim_submit(struct sim *sim, uint8_t flags, int32_t timeout_ms,
                bool nested);
void sim_submit_some(struct sim *sim);

/* sim_list.c: the list of servers: the first one, another one, what holds at
 * any time and for every outcome, and the end of changes that still wait. */
void sim_list_begin(struct sim *sim);
void sim_list_change(struct sim *sim);
void sim_list_check(struct sim *sim);
void sim_list_check_outcome(struct sim *sim, const jsonrpcc_outcome *outcome);
void sim_list_check_end(struct sim *sim);
void sim_list_await(struct sim *sim, void (*run)(struct sim *sim, uint64_t us));

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
