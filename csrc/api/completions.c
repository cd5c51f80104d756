#include "api/completions.h"

#include <stdlib.h>
#include <string.h>

/* A text buffer above this is not kept when the batch is emptied. */
#define IDLE_ROOM 262144

bool jrc_batch_init(struct jrc_batch *batch, size_t capacity)
{
    memset(batch, 0, sizeof *batch);
    batch->capacity = capacity;
    /* calloc: pages that are never used are never touched. */
    batch->tokens = calloc(capacity, sizeof *batch->tokens);
    batch->starts = calloc(capacity, sizeof *batch->starts);
    batch->lens = calloc(capacity, sizeof *batch->lens);
    batch->origins = calloc(capacity, sizeof *batch->origins);
    batch->failures = calloc(capacity, sizeof *batch->failures);
    if (batch->tokens != NULL && batch->starts != NULL && batch->lens != NULL &&
        batch->origins != NULL && batch->failures != NULL)
        return true;
    jrc_batch_clear(batch);
    return false;
}

void jrc_batch_clear(struct jrc_batch *batch)
{
    free(batch->tokens);
    free(batch->starts);
    free(batch->lens);
    free(batch->origins);
    free(batch->failures);
    free(batch->text.bytes);
    free(batch->details.bytes);
    memset(batch, 0, sizeof *batch);
}

/* Room for len more bytes. */
static bool make_room(struct jrc_text *text, size_t len)
{
    size_t need;

    if (__builtin_add_overflow(text->len, len, &need))
        return false;
    if (need <= text->room)
        return true;
    size_t room = text->room < 4096 ? 4096 : text->room;
    while (room < need)
        room = room > SIZE_MAX / 2 ? need : room * 2;
    char *bytes = realloc(text->bytes, room);
    if (bytes == NULL)
        return false;
    text->bytes = bytes;
    text->room = room;
    return true;
}

static void put(struct jrc_text *text, const char *bytes, size_t len)
{
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

static bool add_result(struct jrc_batch *batch, uint64_t token,
                       const jsonrpcc_outcome *outcome, const char *json)
{
    size_t len = outcome->json_len;

    if (!make_room(&batch->text, len + 2))
        return false;
    if (batch->text.len == 0)
        put(&batch->text, "[", 1);
    batch->tokens[batch->count] = token;
    batch->starts[batch->count] = batch->text.len;
    batch->lens[batch->count] = len;
    batch->origins[batch->count] =
        (jsonrpcc_origin){outcome->server, outcome->elapsed_us};
    batch->count++;
    put(&batch->text, json, len);
    put(&batch->text, ",", 1);
    return true;
}

static void add_failure(struct jrc_batch *batch, uint64_t token,
                        const jsonrpcc_outcome *outcome, const char *json)
{
    jsonrpcc_failure *failure = &batch->failures[batch->failure_count++];

    failure->token = token;
    failure->outcome = *outcome;
    failure->outcome.json = NULL;
    if (json != NULL && make_room(&batch->details, outcome->json_len)) {
        size_t offset = batch->details.len;
        put(&batch->details, json, outcome->json_len);
        failure->outcome.json = (const char *)(uintptr_t)(offset + 1);
    } else {
        failure->outcome.json_len = 0;
    }
}

static void add(struct jrc_batch *batch, uint64_t token,
                const jsonrpcc_outcome *outcome, const char *json)
{
    if (outcome->status != JSONRPCC_OK) {
        add_failure(batch, token, outcome, json);
        return;
    }
    if (add_result(batch, token, outcome, json))
        return;
    jsonrpcc_outcome lost = *outcome;
    lost.status = JSONRPCC_ENOMEM;
    add_failure(batch, token, &lost, NULL);
}

void jrc_batch_add(struct jrc_batch *batch, uint64_t token,
                   const jsonrpcc_outcome *outcome)
{
    add(batch, token, outcome, outcome->json);
}

void jrc_batch_add_event(struct jrc_batch *batch, const jsonrpcc_event *event)
{
    if (batch->event_count == JRC_BATCH_EVENTS)
        batch->events_dropped++;
    else
        batch->events[batch->event_count++] = *event;
}

/* Where a failure's text lies, NULL if it has none. */
static const char *detail(const struct jrc_batch *batch,
                          const jsonrpcc_failure *failure)
{
    uintptr_t offset = (uintptr_t)failure->outcome.json;

    return offset == 0 ? NULL : batch->details.bytes + offset - 1;
}

void jrc_batch_append(struct jrc_batch *batch, struct jrc_batch *from)
{
    for (size_t i = 0; i < from->count; i++) {
        jsonrpcc_outcome outcome = {
            .fate = JSONRPCC_ANSWERED,
            .server = from->origins[i].server,
            .elapsed_us = from->origins[i].elapsed_us,
            .json_len = from->lens[i],
        };
        add(batch, from->tokens[i], &outcome,
            from->text.bytes + from->starts[i]);
    }
    for (size_t i = 0; i < from->failure_count; i++)
        add_failure(batch, from->failures[i].token, &from->failures[i].outcome,
                    detail(from, &from->failures[i]));
    for (size_t i = 0; i < from->event_count; i++)
        jrc_batch_add_event(batch, &from->events[i]);
    jrc_batch_reset(from);
}

bool jrc_batch_slice(struct jrc_batch *batch, jsonrpcc_batch *slice)
{
    memset(slice, 0, sizeof *slice);
    if (jrc_batch_is_empty(batch))
        return false;
    size_t first = batch->taken;
    size_t count = batch->count - first;
    if (count > JRC_BATCH_RESULTS)
        count = JRC_BATCH_RESULTS;
    for (size_t n = 1, bytes = 0; n < count; n++) {
        bytes += batch->lens[first + n - 1];
        if (bytes >= JRC_BATCH_BYTES)
            count = n;
    }
    if (count > 0) {
        /* The comma before the first result and the one behind the last make
         * room for the brackets; the next slice turns ']' into its '['. */
        size_t last = first + count - 1;
        size_t open = batch->starts[first] - 1;
        size_t close = batch->starts[last] + batch->lens[last];
        batch->text.bytes[open] = '[';
        batch->text.bytes[close] = ']';
        slice->count = count;
        slice->tokens = batch->tokens + first;
        slice->results = batch->text.bytes + open;
        slice->results_len = close - open + 1;
        slice->starts = batch->starts + first;
        slice->lens = batch->lens + first;
        slice->origins = batch->origins + first;
    }
    for (size_t i = 0; i < batch->failure_count; i++)
        batch->failures[i].outcome.json = detail(batch, &batch->failures[i]);
    slice->failure_count = batch->failure_count;
    slice->failures = batch->failures;
    slice->event_count = batch->event_count;
    slice->events = batch->events;
    batch->taken += count;
    batch->failure_count = batch->event_count = 0;
    return true;
}

static void reset_text(struct jrc_text *text)
{
    text->len = 0;
    if (text->room > IDLE_ROOM) {
        free(text->bytes);
        *text = (struct jrc_text){0};
    }
}

void jrc_batch_reset(struct jrc_batch *batch)
{
    batch->count = batch->taken = 0;
    batch->failure_count = batch->event_count = 0;
    reset_text(&batch->text);
    reset_text(&batch->details);
}
