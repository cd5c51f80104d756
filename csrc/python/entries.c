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
    *entries = (struct fast_entries){.free = FAST_NO_ENTRY};
}

uint32_t fast_entries_put(struct fast_entries *entries, PyObject *on_result,
                          PyObject *on_error, PyObject *method)
{
    uint32_t token = entries->free;

    if (token != FAST_NO_ENTRY)
        entries->free = entries->list[token].next_free;
    else if (entries->used < entries->room || make_room(entries))
        token = entries->used++;
    else
        return FAST_NO_ENTRY;
    Py_XINCREF(on_result);
    Py_XINCREF(on_error);
    Py_INCREF(method);
    entries->list[token] = (struct fast_entry){on_result, on_error, method, 0};
    entries->live++;
    return token;
}

bool fast_entries_take(struct fast_entries *entries, uint64_t token,
                       struct fast_entry *entry)
{
    if (token >= entries->used || entries->list[token].method == NULL)
        return false;
    *entry = entries->list[token];
    entries->list[token] = (struct fast_entry){.next_free = entries->free};
    entries->free = (uint32_t)token;
    entries->live--;
    return true;
}

void fast_entries_get(const struct fast_entries *entries, uint64_t token,
                      struct fast_entry *entry)
{
    *entry = token < entries->used ? entries->list[token]
                                   : (struct fast_entry){.method = NULL};
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
    for (uint32_t i = 0; i < entries->used; i++)
        fast_entries_discard(entries, i);
    free(entries->list);
    fast_entries_init(entries);
}
