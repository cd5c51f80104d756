/* Outcomes on their way to one who fetches: results as one JSON array text,
 * failures and events as records.
 *
 * Room for every record stands from the start; only the texts allocate, and
 * without memory for its text a call's outcome becomes ENOMEM: none is lost. */

#ifndef JRC_COMPLETIONS_H
#define JRC_COMPLETIONS_H

#include "jsonrpcc.h"

struct jrc_text {
    char *bytes;
    size_t len, room;
};

/* A slice ends after so many results or bytes: larger ones make Python's
 * garbage collector work, and much memory at once. */
enum {
    JRC_BATCH_EVENTS = 4096,
    JRC_BATCH_RESULTS = 256,
    JRC_BATCH_BYTES = 65536
};

struct jrc_batch {
    size_t capacity;     /* of results, and of failures */
    size_t count, taken; /* of results; taken: by slices so far */
    uint64_t *tokens;
    size_t *starts, *lens; /* of the results in text */
    jsonrpcc_origin *origins;
    struct jrc_text text; /* "[" result "," result "," ... */
    size_t failure_count;
    jsonrpcc_failure *failures; /* json holds an offset in details, plus one */
    struct jrc_text details;
    size_t event_count;
    jsonrpcc_event events[JRC_BATCH_EVENTS];
    uint64_t events_dropped;
};

bool jrc_batch_init(struct jrc_batch *batch, size_t capacity);
void jrc_batch_clear(struct jrc_batch *batch);

/* Add an outcome, or an event.  There is room: the caller counts. */
void jrc_batch_add(struct jrc_batch *batch, uint64_t token,
                   const jsonrpcc_outcome *outcome);
void jrc_batch_add_event(struct jrc_batch *batch, const jsonrpcc_event *event);

/* Move all that is in from to the end of batch. */
void jrc_batch_append(struct jrc_batch *batch, struct jrc_batch *from);

static inline bool jrc_batch_is_empty(const struct jrc_batch *batch)
{
    return batch->count == batch->taken && batch->failure_count == 0 &&
           batch->event_count == 0;
}

static inline size_t jrc_batch_bytes(const struct jrc_batch *batch)
{
    return batch->text.len + batch->details.len;
}

/* Those of them that no slice has shown yet. */
static inline size_t jrc_batch_left(const struct jrc_batch *batch)
{
    size_t left = batch->failure_count > 0 ? batch->details.len : 0;

    if (batch->taken < batch->count)
        left += batch->text.len - (batch->starts[batch->taken] - 1);
    return left;
}

/* The next results, and all failures and events, as their taker sees them.
 * False: there is nothing more. */
bool jrc_batch_slice(struct jrc_batch *batch, jsonrpcc_batch *slice);

/* Empty it; large buffers are given back. */
void jrc_batch_reset(struct jrc_batch *batch);

#endif
