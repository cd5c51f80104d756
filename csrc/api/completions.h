/* Outcomes on their way to the thread that fetches them: results as the text of
 * one JSON array, failures and events as records.
 *
 * Room for all records is allocated at the start.  Only texts allocate later;
 * if there is no memory for its text, a call's outcome becomes ENOMEM, so none
 * is lost. */

#ifndef JRC_COMPLETIONS_H
#define JRC_COMPLETIONS_H

#include "jsonrpcc.h"

struct jrc_text {
    char *bytes;
    size_t len, room;
};

/* A slice ends after this many results or bytes: larger ones would keep
 * Python's garbage collector busy, and need much memory at once. */
enum {
    JRC_COMPLETIONS_EVENTS = 4096,
    JRC_COMPLETIONS_RESULTS = 256,
    JRC_COMPLETIONS_BYTES = 65536
};

/* A result in the text. */
struct jrc_result {
    size_t start, len;
    jsonrpcc_origin origin;
};

struct jrc_completions {
    size_t capacity;     /* of results, and of failures */
    size_t count, taken; /* of results; taken: by slices so far */
    size_t first;        /* where the last slice begins */
    void *tables;        /* one allocation: */
    uint64_t *tokens;
    struct jrc_result *results;
    jsonrpcc_failure *failures; /* json holds an offset into details, plus
                                   one */
    struct jrc_text text;       /* "[" result "," result "," ... */
    size_t failure_count;
    struct jrc_text details;
    size_t event_count;
    uint64_t events_dropped;
    /* The last member, as most of this memory is never touched. */
    jsonrpcc_event events[JRC_COMPLETIONS_EVENTS];
};

bool jrc_completions_init(struct jrc_completions *completions, size_t capacity);
void jrc_completions_clear(struct jrc_completions *completions);

/* Add an outcome, or an event.  The caller counts, so there is room. */
void jrc_completions_add(struct jrc_completions *completions, uint64_t token,
                         const jsonrpcc_outcome *outcome);
void jrc_completions_add_event(struct jrc_completions *completions,
                               const jsonrpcc_event *event);

/* Move everything in from to the end of completions. */
void jrc_completions_append(struct jrc_completions *completions,
                            struct jrc_completions *from);

static inline bool jrc_completions_is_empty(
    const struct jrc_completions *completions)
{
    return completions->count == completions->taken &&
           completions->failure_count == 0 && completions->event_count == 0;
}

static inline size_t jrc_completions_bytes(
    const struct jrc_completions *completions)
{
    return completions->text.len + completions->details.len;
}

/* How many bytes have not been in a slice yet. */
static inline size_t jrc_completions_left(
    const struct jrc_completions *completions)
{
    size_t left = completions->failure_count > 0 ? completions->details.len : 0;

    if (completions->taken < completions->count)
        left += completions->text.len -
                (completions->results[completions->taken].start - 1);
    return left;
}

/* The next results, and all failures and events, in the public form.  False:
 * there are no more. */
bool jrc_completions_slice(struct jrc_completions *completions,
                           jsonrpcc_completions *slice);

/* Empty them, and release large buffers. */
void jrc_completions_reset(struct jrc_completions *completions);

#endif
