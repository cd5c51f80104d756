/* The engine in a vice: a test says what happens and when, and looks at what
 * came out.  One rig per test. */

#ifndef RIG_H
#define RIG_H

#include "engine/connection.h"
#include "engine/engine.h"

enum { RIG_LOG = 4096, RIG_REQUEST = 64 };

struct rig {
    struct jrc_servers servers;
    struct jrc_calls calls;
    struct jrc_engine engine;
    struct jrc_frames pending;
    uint64_t now_us;
    struct {
        uint64_t token;
        jsonrpcc_outcome outcome; /* json points to text */
        char text[80];
    } outcomes[RIG_LOG];
    size_t outcome_count;
    jsonrpcc_event events[RIG_LOG];
    size_t event_count;
};

/* Servers as in the servers string, up from the start unless down is said. */
void rig_start(struct rig *rig, const char *servers);
void rig_start_down(struct rig *rig, const char *servers, int32_t attempts);
void rig_stop(struct rig *rig);

/* Submit a call of method "m"; returns its id.  token is for the outcome. */
uint64_t rig_call(struct rig *rig, uint64_t token, uint32_t flags,
                  int32_t timeout_ms);

/* The same, but only put it behind frames, to be submitted with others. */
uint64_t rig_prepare(struct rig *rig, uint64_t token, uint32_t flags,
                     int32_t timeout_ms, struct jrc_frames *frames);

/* Let the time pass and tick. */
void rig_wait(struct rig *rig, uint64_t us);

/* Fetch all actions; returns those of connection i, or-ed. */
uint32_t rig_todo(struct rig *rig, uint32_t i);

/* Send so many bytes (at most what is there) of connection i's output; returns
 * how many went. */
size_t rig_send(struct rig *rig, uint32_t i, size_t most);
size_t rig_output(struct rig *rig, uint32_t i);

/* Connection i receives these bytes, or a frame with this payload; printf. */
void rig_bytes(struct rig *rig, uint32_t i, const char *bytes);
void rig_reply(struct rig *rig, uint32_t i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The one outcome of a token, NULL if it has none or several. */
const jsonrpcc_outcome *rig_outcome(const struct rig *rig, uint64_t token);
bool rig_is(const struct rig *rig, uint64_t token, jsonrpcc_status status,
            jsonrpcc_fate fate);

/* How many events of that kind there were for server i. */
unsigned rig_events(const struct rig *rig, jsonrpcc_event_kind kind, int32_t i);

/* Whether the engine's books are right: slots, bytes, lists. */
bool rig_sound(const struct jrc_engine *engine);

#endif
