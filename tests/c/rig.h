/* The engine in a vice: the test says what happens and when, and checks the
 * result.  One rig per test. */

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
        size_t events; /* how many there were before */
    } outcomes[RIG_LOG];
    size_t outcome_count;
    jsonrpcc_event events[RIG_LOG];
    size_t event_count;
};

/* Servers as in the servers string, up from the start unless down is set. */
void rig_start(struct rig *rig, const char *servers);
void rig_start_down(struct rig *rig, const char *servers, int32_t attempts);
/* The same, down, with that many connections to each server, which are replaced
 * at that age (0: never). */
void rig_start_wide(struct rig *rig, const char *servers, int32_t connections,
                    int32_t age_ms);
/* The same, down, using that many servers of each group. */
void rig_start_subset(struct rig *rig, const char *servers, uint32_t subset);
void rig_stop(struct rig *rig);

/* Submit a call of method "m"; returns its id.  token is for the outcome. */
uint64_t rig_call(struct rig *rig, uint64_t token, uint32_t flags,
                  int32_t timeout_ms);

/* The same, but only put it behind frames, to be submitted with others. */
uint64_t rig_prepare(struct rig *rig, uint64_t token, uint32_t flags,
                     int32_t timeout_ms, struct jrc_frames *frames);

/* Let that time pass, and tick. */
void rig_wait(struct rig *rig, uint64_t us);

/* Fetch all actions; returns those of connection i, combined by OR. */
uint32_t rig_todo(struct rig *rig, uint32_t i);

/* Send that many bytes of connection i's output, or as many as there are;
 * returns how many were sent. */
size_t rig_send(struct rig *rig, uint32_t i, size_t most);
size_t rig_output(struct rig *rig, uint32_t i);

/* Connection i receives these bytes, or a frame with this payload; printf. */
void rig_bytes(struct rig *rig, uint32_t i, const char *bytes);
void rig_reply(struct rig *rig, uint32_t i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Connection i receives a response of that length without its last byte, a
 * comma, so that it arrives in a buffer of its own. */
void rig_long_reply(struct rig *rig, uint32_t i, uint64_t id, size_t len);

/* The one outcome of a token, NULL if it has none or several. */
const jsonrpcc_outcome *rig_outcome(const struct rig *rig, uint64_t token);
bool rig_is(const struct rig *rig, uint64_t token, jsonrpcc_status status,
            jsonrpcc_fate fate);

/* How many events of that kind there were for server i. */
unsigned rig_events(const struct rig *rig, jsonrpcc_event_kind kind, int32_t i);

/* Whether the engine's bookkeeping of slots, bytes and lists is right. */
bool rig_sound(const struct jrc_engine *engine);

#endif
