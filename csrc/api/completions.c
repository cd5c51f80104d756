#include "api/completions.h"

#include "wire/pages.h"

#include <stdlib.h>
#include <string.h>

/* When completions are emptied, a larger text buffer is released. */
#define IDLE_ROOM 262144

enum {
    OF_EACH = sizeof(uint64_t) + sizeof(struct jrc_result) +
    sizeof(jsonrpcc_failure)
};

_Static_assert(sizeof(uint64_t) % _Alignof(struct jrc_result) == 0 &&
                   sizeof(struct jrc_result) % _Alignof(jsonrpcc_failure) == 0,
               "each table is aligned where the one before it ends");

bool jrc_completions_init(struct jrc_completions *completions, size_t capacity)
{
    memset(completions, 0, offsetof(struct jrc_completions, events));
    completions->capacity = capacity;
    completions->tables = jrc_pages_new(capacity, OF_EACH);
    if (completions->tables == NULL)
        return false;
    completions->tokens = completions->tables;
    completions->results = (void *)(completions->tokens + capacity);
    completions->failures = (void *)(completions->results + capacity);
    return true;
}

void jrc_completions_clear(struct jrc_completions *completions)
{
    jrc_pages_free(completions->tables, completions->capacity, OF_EACH);
    free(completions->text.bytes);
    free(completions->details.bytes);
    memset(completions, 0, offsetof(struct jrc_completions, events));
}

/* Make room for len more bytes. */
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

static bool add_result(struct jrc_completions *completions, uint64_t token,
                       const jsonrpcc_outcome *outcome, const char *json)
{
    size_t len = outcome->json_len;

    if (!make_room(&completions->text, len + 2))
        return false;
    if (completions->text.len == 0)
        put(&completions->text, "[", 1);
    completions->tokens[completions->count] = token;
    struct jrc_result *result = &completions->results[completions->count];
    result->start = completions->text.len;
    result->len = len;
    result->origin = (jsonrpcc_origin){
        .server = outcome->server,
        .attempts = outcome->attempts,
        .elapsed_us = outcome->elapsed_us,
        .waited_us = outcome->waited_us,
        .answered_us = outcome->answered_us,
    };
    completions->count++;
    put(&completions->text, json, len);
    put(&completions->text, ",", 1);
    return true;
}

static void add_failure(struct jrc_completions *completions, uint64_t token,
                        const jsonrpcc_outcome *outcome, const char *json)
{
    jsonrpcc_failure *failure =
        &completions->failures[completions->failure_count++];

    failure->token = token;
    failure->outcome = *outcome;
    failure->outcome.json = NULL;
    if (json != NULL && make_room(&completions->details, outcome->json_len)) {
        size_t offset = completions->details.len;
        put(&completions->details, json, outcome->json_len);
        failure->outcome.json = (const char *)(uintptr_t)(offset + 1);
    } else {
        failure->outcome.json_len = 0;
    }
}

static void add(struct jrc_completions *completions, uint64_t token,
                const jsonrpcc_outcome *outcome, const char *json)
{
    if (outcome->status != JSONRPCC_OK) {
        add_failure(completions, token, outcome, json);
        return;
    }
    if (add_result(completions, token, outcome, json))
        return;
    jsonrpcc_outcome lost = *outcome;
    lost.status = JSONRPCC_ENOMEM;
    add_failure(completions, token, &lost, NULL);
}

void jrc_completions_add(struct jrc_completions *completions, uint64_t token,
                         const jsonrpcc_outcome *outcome)
{
    add(completions, token, outcome, outcome->json);
}

void jrc_completions_add_event(struct jrc_completions *completions,
                               const jsonrpcc_event *event)
{
    if (completions->event_count == JRC_COMPLETIONS_EVENTS)
        completions->events_dropped++;
    else
        completions->events[completions->event_count++] = *event;
}

/* A failure's text, or NULL if it has none. */
static const char *detail(const struct jrc_completions *completions,
                          const jsonrpcc_failure *failure)
{
    uintptr_t offset = (uintptr_t)failure->outcome.json;

    return offset == 0 ? NULL : completions->details.bytes + offset - 1;
}

void jrc_completions_append(struct jrc_completions *completions,
                            struct jrc_completions *from)
{
    for (size_t i = 0; i < from->count; i++) {
        jsonrpcc_outcome outcome = {
            .fate = JSONRPCC_ANSWERED,
            .server = from->results[i].origin.server,
            .attempts = from->results[i].origin.attempts,
            .elapsed_us = from->results[i].origin.elapsed_us,
            .waited_us = from->results[i].origin.waited_us,
            .answered_us = from->results[i].origin.answered_us,
            .json_len = from->results[i].len,
        };
        add(completions, from->tokens[i], &outcome,
            from->text.bytes + from->results[i].start);
    }
    for (size_t i = 0; i < from->failure_count; i++)
        add_failure(completions, from->failures[i].token,
                    &from->failures[i].outcome,
                    detail(from, &from->failures[i]));
    for (size_t i = 0; i < from->event_count; i++)
        jrc_completions_add_event(completions, &from->events[i]);
    jrc_completions_reset(from);
}

bool jrc_completions_slice(struct jrc_completions *completions,
                           jsonrpcc_completions *slice)
{
    memset(slice, 0, sizeof *slice);
    if (jrc_completions_is_empty(completions))
        return false;
    size_t first = completions->taken;
    size_t count = completions->count - first;
    if (count > JRC_COMPLETIONS_RESULTS)
        count = JRC_COMPLETIONS_RESULTS;
    for (size_t n = 1, bytes = 0; n < count; n++) {
        bytes += completions->results[first + n - 1].len;
        if (bytes >= JRC_COMPLETIONS_BYTES)
            count = n;
    }
    if (count > 0) {
        /* The commas before the first result and after the last one make room
         * for the brackets; the next slice turns our ']' into its '['. */
        size_t last = first + count - 1;
        size_t open = completions->results[first].start - 1;
        size_t close =
            completions->results[last].start + completions->results[last].len;
        completions->text.bytes[open] = '[';
        completions->text.bytes[close] = ']';
        slice->count = count;
        slice->tokens = completions->tokens + first;
        slice->results = completions->text.bytes + open;
        slice->results_len = close - open + 1;
    }
    for (size_t i = 0; i < completions->failure_count; i++)
        completions->failures[i].outcome.json =
            detail(completions, &completions->failures[i]);
    slice->failure_count = completions->failure_count;
    slice->event_count = completions->event_count;
    slice->source = completions;
    completions->first = first;
    completions->taken += count;
    completions->failure_count = completions->event_count = 0;
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

void jrc_completions_reset(struct jrc_completions *completions)
{
    completions->count = completions->taken = 0;
    completions->failure_count = completions->event_count = 0;
    reset_text(&completions->text);
    reset_text(&completions->details);
}

/* ---- what the taker of a slice may read ---- */

const char *jsonrpcc_completions_result(const jsonrpcc_completions *completions,
                                        size_t i, size_t *len)
{
    const struct jrc_completions *source = completions->source;

    *len = 0;
    if (i >= completions->count)
        return NULL;
    *len = source->results[source->first + i].len;
    return source->text.bytes + source->results[source->first + i].start;
}

const jsonrpcc_origin *jsonrpcc_completions_origin(
    const jsonrpcc_completions *completions, size_t i)
{
    const struct jrc_completions *source = completions->source;

    return i < completions->count ? &source->results[source->first + i].origin
                                  : NULL;
}

const jsonrpcc_failure *jsonrpcc_completions_failure(
    const jsonrpcc_completions *completions, size_t i)
{
    const struct jrc_completions *source = completions->source;

    return i < completions->failure_count ? &source->failures[i] : NULL;
}

const jsonrpcc_event *jsonrpcc_completions_event(
    const jsonrpcc_completions *completions, size_t i)
{
    const struct jrc_completions *source = completions->source;

    return i < completions->event_count ? &source->events[i] : NULL;
}

size_t jsonrpcc_completions_slow(const jsonrpcc_completions *completions,
                                 size_t i, uint64_t min_us)
{
    const struct jrc_completions *source = completions->source;

    while (i < completions->count &&
           source->results[source->first + i].origin.elapsed_us < min_us)
        i++;
    return i < completions->count ? i : completions->count;
}
