#include "engine/call_table.h"

#include "wire/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Ids stay below 2^53, so that servers in any language keep them exact. */
#define ID_LIMIT (1ULL << 53)

bool jrc_calls_init(struct jrc_calls *calls, uint32_t count)
{
    uint32_t capacity = 16;

    while (capacity < count)
        capacity *= 2;
    memset(calls, 0, sizeof *calls);
    calls->capacity = capacity;
    calls->slots = jrc_pages_new(capacity, sizeof *calls->slots);
    calls->deadlines = jrc_pages_new(capacity, sizeof *calls->deadlines);
    calls->blocks = calloc(capacity / JRC_BLOCK + 1, sizeof *calls->blocks);
    calls->groups = calloc(capacity / JRC_GROUP + 1, sizeof *calls->groups);
    if (calls->slots == NULL || calls->deadlines == NULL ||
        calls->blocks == NULL || calls->groups == NULL) {
        jrc_calls_clear(calls);
        return false;
    }
    calls->free = JRC_NO_CALL;
    calls->ended = calls->ended_last = calls->cancels = JRC_NO_CALL;
    calls->soonest_us = UINT64_MAX;
    return true;
}

void jrc_calls_begin_after(struct jrc_calls *calls,
                           const struct jrc_calls *before)
{
    uint64_t last = before->first_id;

    for (uint32_t i = 0; i < before->used; i++)
        if (before->slots[i].id > last)
            last = before->slots[i].id;
    calls->first_id = last - last % calls->capacity;
}

void jrc_calls_clear(struct jrc_calls *calls)
{
    for (uint32_t i = 0; i < calls->used; i++)
        free(calls->slots[i].copy);
    jrc_pages_free(calls->slots, calls->capacity, sizeof *calls->slots);
    jrc_pages_free(calls->deadlines, calls->capacity, sizeof *calls->deadlines);
    free(calls->blocks);
    free(calls->groups);
    memset(calls, 0, sizeof *calls);
}

struct jrc_call *jrc_calls_new(struct jrc_calls *calls)
{
    struct jrc_call *call;

    if (calls->free != JRC_NO_CALL) {
        call = &calls->slots[calls->free];
        calls->free = call->next;
    } else if (calls->used < calls->capacity) {
        call = &calls->slots[calls->used];
        call->id = calls->first_id + calls->used++;
    } else {
        return NULL;
    }
    call->id += calls->capacity;
    if (call->id >= ID_LIMIT)
        call->id = calls->capacity + jrc_calls_index(calls, call);
    call->sends = 0;
    call->conn = -1;
    calls->live++;
    return call;
}

bool jrc_calls_keep(struct jrc_calls *calls, struct jrc_call *call, size_t len)
{
    call->copy = malloc(len);
    if (call->copy == NULL)
        return false;
    calls->kept_bytes += len;
    return true;
}

void jrc_calls_undo(struct jrc_calls *calls, struct jrc_call *call)
{
    call->next = calls->free;
    calls->free = jrc_calls_index(calls, call);
    calls->live--;
}

void jrc_calls_reclaim(struct jrc_calls *calls)
{
    if (calls->ended == JRC_NO_CALL)
        return;
    calls->slots[calls->ended_last].next = calls->free;
    calls->free = calls->ended;
    calls->live -= calls->ended_count;
    calls->kept_bytes -= calls->ended_bytes;
    calls->ended = calls->ended_last = JRC_NO_CALL;
    calls->ended_count = 0;
    calls->ended_bytes = 0;
}

void jrc_calls_cancel(struct jrc_calls *calls, uint64_t id)
{
    uint32_t index = (uint32_t)(id & (calls->capacity - 1));
    struct jrc_call *call = &calls->slots[index];

    if (index >= calls->used || call->id != id)
        return;
    /* The slot may still be in the chain, for an id that has since ended. */
    if (call->cancel_id == 0) {
        call->cancel_next = calls->cancels;
        calls->cancels = index;
    }
    call->cancel_id = id;
}

uint64_t jrc_calls_cancelled(struct jrc_calls *calls)
{
    if (calls->cancels == JRC_NO_CALL)
        return 0;
    struct jrc_call *call = &calls->slots[calls->cancels];
    uint64_t id = call->cancel_id;
    calls->cancels = call->cancel_next;
    call->cancel_id = 0;
    return id;
}

static void lower(uint64_t *bound, uint64_t value)
{
    if (value < *bound)
        *bound = value;
}

static inline void set_deadline(struct jrc_calls *calls, uint32_t index,
                                uint64_t deadline_us)
{
    calls->deadlines[index] = deadline_us;
    /* A deadline that does not lower this bound lowers no wider one. */
    if (deadline_us >= calls->blocks[index / JRC_BLOCK])
        return;
    calls->blocks[index / JRC_BLOCK] = deadline_us;
    lower(&calls->groups[index / JRC_GROUP], deadline_us);
    lower(&calls->soonest_us, deadline_us);
}

void jrc_calls_set_deadline(struct jrc_calls *calls, struct jrc_call *call,
                            uint64_t deadline_us)
{
    set_deadline(calls, jrc_calls_index(calls, call), deadline_us);
}

/* Start using the slots up to index, for the first time. */
__attribute__((noinline)) static void raise_high(struct jrc_calls *calls,
                                                 uint32_t index)
{
    for (; calls->high <= index; calls->high++) {
        if (calls->high % JRC_BLOCK == 0)
            calls->blocks[calls->high / JRC_BLOCK] = UINT64_MAX;
        if (calls->high % JRC_GROUP == 0)
            calls->groups[calls->high / JRC_GROUP] = UINT64_MAX;
        calls->deadlines[calls->high] = UINT64_MAX;
    }
}

void jrc_calls_watch(struct jrc_calls *calls, struct jrc_call *call)
{
    uint32_t index = jrc_calls_index(calls, call);
    uint64_t deadline_us = call->start_us + (uint64_t)call->timeout_ms * 1000;

    call->active = call->id;
    call->state = JRC_CALL_HELD;
    call->role = 0;
    if (index >= calls->high)
        raise_high(calls, index);
    set_deadline(calls, index, deadline_us);
}

void jrc_calls_take(struct jrc_calls *calls, struct jrc_call *call)
{
    uint32_t index = jrc_calls_index(calls, call);

    assert(call->active == call->id);
    call->active = 0;
    call->state = JRC_CALL_FREE;
    if (call->copy != NULL) {
        calls->ended_bytes += call->frame_len;
        free(call->copy);
        call->copy = NULL;
    }
    calls->deadlines[index] = UINT64_MAX;
    call->next = calls->ended;
    calls->ended = index;
    if (calls->ended_last == JRC_NO_CALL)
        calls->ended_last = index;
    calls->ended_count++;
}

void jrc_calls_hold(struct jrc_calls *calls, const struct jrc_call *call)
{
    assert(calls->ended == jrc_calls_index(calls, call));
    calls->ended = call->next;
    if (calls->ended == JRC_NO_CALL)
        calls->ended_last = JRC_NO_CALL;
    calls->ended_count--;
    calls->slots[jrc_calls_index(calls, call)].next = JRC_NO_CALL;
}

struct jrc_call *jrc_calls_expired(struct jrc_calls *calls, uint64_t now_us,
                                   uint32_t *at)
{
    uint32_t i = *at;

    if (i == 0)
        calls->soonest_us = UINT64_MAX;
    while (i < calls->high) {
        uint64_t *block = &calls->blocks[i / JRC_BLOCK];
        uint64_t *group = &calls->groups[i / JRC_GROUP];
        if (i % JRC_GROUP == 0) {
            if (*group > now_us) {
                lower(&calls->soonest_us, *group);
                i += JRC_GROUP;
                continue;
            }
            *group = UINT64_MAX; /* made exact below */
        }
        if (i % JRC_BLOCK == 0) {
            if (*block > now_us) {
                lower(group, *block);
                lower(&calls->soonest_us, *block);
                i += JRC_BLOCK;
                continue;
            }
            *block = UINT64_MAX;
        }
        uint64_t deadline_us = calls->deadlines[i++];
        if (deadline_us <= now_us) {
            *at = i;
            return &calls->slots[i - 1];
        }
        lower(block, deadline_us);
        lower(group, deadline_us);
        lower(&calls->soonest_us, deadline_us);
    }
    return NULL;
}
