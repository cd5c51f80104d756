#include "python/module.h"

#include <stdlib.h>

static bool make_room(struct fast_entries *entries)
{
    uint32_t room = entries->room == 0 ? 64 : entries->room * 2;
    struct fast_entry *list =
        reallocarray(entries->list, room, sizeof *entries->list);

    if (list == NULL) {
        PyErr_NoMemory();
        return false;
    }
    entries->list = list;
    entries->room = room;
    return true;
}

void fast_entries_init(struct fast_entries *entries)
{
    *entries = (struct fast_entries){.free = FAST_NO_SLOT};
}

/* The slot is the lower half of a token, the generation the upper one. */
static uint64_t token_of(const struct fast_entries *entries, uint32_t slot)
{
    return (uint64_t)entries->list[slot].generation << 32 | slot;
}

/* NULL: there is none, or not that one any more. */
static struct fast_entry *find(const struct fast_entries *entries,
                               uint64_t token)
{
    uint32_t slot = (uint32_t)token;

    if (slot >= entries->used || entries->list[slot].method == NULL ||
        entries->list[slot].generation != (uint32_t)(token >> 32))
        return NULL;
    return &entries->list[slot];
}

uint64_t fast_entries_put(struct fast_entries *entries, PyObject *on_result,
                          PyObject *on_error, PyObject *method)
{
    uint32_t slot = entries->free;

    if (slot != FAST_NO_SLOT) {
        entries->free = entries->list[slot].next_free;
    } else if (entries->used < entries->room || make_room(entries)) {
        slot = entries->used++;
        entries->list[slot].generation = 0;
    } else {
        return FAST_NO_ENTRY;
    }
    Py_XINCREF(on_result);
    Py_XINCREF(on_error);
    Py_INCREF(method);
    struct fast_entry *entry = &entries->list[slot];
    entry->on_result = on_result;
    entry->on_error = on_error;
    entry->method = method;
    entries->live++;
    return token_of(entries, slot);
}

bool fast_entries_take(struct fast_entries *entries, uint64_t token,
                       struct fast_entry *entry)
{
    struct fast_entry *found = find(entries, token);

    if (found == NULL)
        return false;
    *entry = *found;
    *found = (struct fast_entry){
        .next_free = entries->free,
        .generation = found->generation + 1,
    };
    entries->free = (uint32_t)token;
    entries->live--;
    return true;
}

bool fast_entries_take_any(struct fast_entries *entries, uint32_t slot,
                           struct fast_entry *entry)
{
    return fast_entries_take(entries, token_of(entries, slot), entry);
}

void fast_entries_get(const struct fast_entries *entries, uint64_t token,
                      struct fast_entry *entry)
{
    const struct fast_entry *found = find(entries, token);

    *entry = found != NULL ? *found : (struct fast_entry){.method = NULL};
}

void fast_entry_drop(struct fast_entry *entry)
{
    Py_XDECREF(entry->on_result);
    Py_XDECREF(entry->on_error);
    Py_DECREF(entry->method);
}

void fast_entries_discard(struct fast_entries *entries, uint64_t token)
{
    struct fast_entry entry;

    if (fast_entries_take(entries, token, &entry))
        fast_entry_drop(&entry);
}

int fast_entries_visit(const struct fast_entries *entries, visitproc visit,
                       void *arg)
{
    for (uint32_t i = 0; i < entries->used; i++) {
        Py_VISIT(entries->list[i].on_result);
        Py_VISIT(entries->list[i].on_error);
    }
    return 0;
}

void fast_entries_clear(struct fast_entries *entries)
{
    struct fast_entry entry;

    for (uint32_t i = 0; i < entries->used; i++)
        if (fast_entries_take_any(entries, i, &entry))
            fast_entry_drop(&entry);
    free(entries->list);
    fast_entries_init(entries);
}
