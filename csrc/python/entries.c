#include "python/entries.h"

#include <stdlib.h>

static bool make_room(struct spd_entries *entries)
{
    uint32_t room = entries->room == 0 ? 64 : entries->room * 2;
    struct spd_entry *list =
        reallocarray(entries->list, room, sizeof *entries->list);

    if (list == NULL) {
        PyErr_NoMemory();
        return false;
    }
    entries->list = list;
    entries->room = room;
    return true;
}

void spd_entries_init(struct spd_entries *entries)
{
    *entries = (struct spd_entries){.free = SPD_NO_SLOT};
}

/* The lower half of a token is the slot, the upper half the generation. */
static uint64_t token_of(const struct spd_entries *entries, uint32_t slot)
{
    return (uint64_t)entries->list[slot].generation << 32 | slot;
}

/* NULL: there is none, or it has been reused. */
static struct spd_entry *find(const struct spd_entries *entries, uint64_t token)
{
    uint32_t slot = (uint32_t)token;

    if (slot >= entries->used || entries->list[slot].method == NULL ||
        entries->list[slot].generation != (uint32_t)(token >> 32))
        return NULL;
    return &entries->list[slot];
}

uint64_t spd_entries_put(struct spd_entries *entries, PyObject *on_result,
                         PyObject *on_error, PyObject *method,
                         PyObject *decoder)
{
    uint32_t slot = entries->free;

    if (slot != SPD_NO_SLOT) {
        entries->free = entries->list[slot].next_free;
    } else if (entries->used < entries->room || make_room(entries)) {
        slot = entries->used++;
        entries->list[slot].generation = 0;
    } else {
        return SPD_NO_ENTRY;
    }
    Py_XINCREF(on_result);
    Py_XINCREF(on_error);
    Py_INCREF(method);
    Py_XINCREF(decoder);
    struct spd_entry *entry = &entries->list[slot];
    entry->on_result = on_result;
    entry->on_error = on_error;
    entry->method = method;
    entry->decoder = decoder;
    entries->live++;
    entries->typed += decoder != NULL;
    return token_of(entries, slot);
}

bool spd_entries_take(struct spd_entries *entries, uint64_t token,
                      struct spd_entry *entry)
{
    struct spd_entry *found = find(entries, token);

    if (found == NULL)
        return false;
    *entry = *found;
    *found = (struct spd_entry){
        .next_free = entries->free,
        .generation = found->generation + 1,
    };
    entries->free = (uint32_t)token;
    entries->live--;
    entries->typed -= entry->decoder != NULL;
    return true;
}

bool spd_entries_take_any(struct spd_entries *entries, uint32_t slot,
                          struct spd_entry *entry)
{
    return spd_entries_take(entries, token_of(entries, slot), entry);
}

void spd_entries_get(const struct spd_entries *entries, uint64_t token,
                     struct spd_entry *entry)
{
    const struct spd_entry *found = find(entries, token);

    *entry = found != NULL ? *found : (struct spd_entry){.method = NULL};
}

void spd_entry_drop(struct spd_entry *entry)
{
    Py_XDECREF(entry->on_result);
    Py_XDECREF(entry->on_error);
    Py_XDECREF(entry->decoder);
    Py_DECREF(entry->method);
}

void spd_entries_discard(struct spd_entries *entries, uint64_t token)
{
    struct spd_entry entry;

    if (spd_entries_take(entries, token, &entry))
        spd_entry_drop(&entry);
}

int spd_entries_visit(const struct spd_entries *entries, visitproc visit,
                      void *arg)
{
    for (uint32_t i = 0; i < entries->used; i++) {
        Py_VISIT(entries->list[i].on_result);
        Py_VISIT(entries->list[i].on_error);
        Py_VISIT(entries->list[i].decoder);
    }
    return 0;
}

void spd_entries_clear(struct spd_entries *entries)
{
    struct spd_entry entry;

    for (uint32_t i = 0; i < entries->used; i++)
        if (spd_entries_take_any(entries, i, &entry))
            spd_entry_drop(&entry);
    free(entries->list);
    spd_entries_init(entries);
}
