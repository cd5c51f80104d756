#include "engine/server_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jrc_server_list_clear(struct jrc_server_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].host);
    free(list->entries);
    free(list->by_address);
    memset(list, 0, sizeof *list);
}

struct jrc_entry *jrc_server_list_add(struct jrc_server_list *list)
{
    if (list->count == list->room) {
        size_t room = list->room + list->room / 2 + 1;
        struct jrc_entry *entries =
            reallocarray(list->entries, room, sizeof *entries);
        if (entries == NULL)
            return NULL;
        list->entries = entries;
        list->room = room;
    }
    struct jrc_entry *entry = &list->entries[list->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

/* ---- groups ---- */

static int best_first(const void *x, const void *y)
{
    const struct jrc_entry *a = *(const struct jrc_entry *const *)x;
    const struct jrc_entry *b = *(const struct jrc_entry *const *)y;

    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return a->srv_priority - b->srv_priority;
}

/* Number the priorities, best first; sorted has room for all entries. */
static void make_groups(struct jrc_server_list *list, struct jrc_entry **sorted)
{
    list->group_count = 0;
    qsort(sorted, list->count, sizeof *sorted, best_first);
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0 || best_first(&sorted[i - 1], &sorted[i]) != 0)
            list->group_count++;
        sorted[i]->group = list->group_count - 1;
    }
}

/* ---- addresses ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

const char *jrc_entry_address(const struct jrc_entry *entry)
{
    const char *slash = entry->port != 0 ? strrchr(entry->host, '/') : NULL;

    return slash != NULL ? slash + 1 : entry->host;
}

/* By kind, by port, then by host, ignoring case except in the name of an
 * interface; a path, which has no port, is taken as it is. */
int jrc_entry_order(const struct jrc_entry *a, const struct jrc_entry *b)
{
    const char *x = jrc_entry_address(a);
    const char *y = jrc_entry_address(b);
    bool folds = a->port != 0 || a->kind == JRC_ENTRY_SRV;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->port != b->port)
        return a->port - b->port;
    while (*x != '\0' && (folds ? lower(*x) == lower(*y) : *x == *y)) {
        folds = folds && *x != '%';
        x++;
        y++;
    }
    return folds ? lower(*x) - lower(*y) : *x - *y;
}

/* Sorts equal addresses in the order of the text. */
static int by_address(const void *a, const void *b)
{
    const struct jrc_entry *x = *(const struct jrc_entry *const *)a;
    const struct jrc_entry *y = *(const struct jrc_entry *const *)b;
    int order = jrc_entry_order(x, y);

    return order != 0 ? order : (x > y) - (x < y);
}

void jrc_server_list_drop(struct jrc_entry *entry)
{
    free(entry->host);
    entry->host = NULL;
}

static void leave_out_dropped(struct jrc_server_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].host != NULL)
            list->entries[kept++] = list->entries[i];
    list->count = kept;
}

bool jrc_server_list_finish(struct jrc_server_list *list)
{
    struct jrc_entry **sorted =
        reallocarray(NULL, list->count + 1, sizeof *sorted);

    leave_out_dropped(list);
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->entries[i];
    make_groups(list, sorted);
    qsort(sorted, list->count, sizeof *sorted, by_address);
    free(list->by_address);
    list->by_address = sorted;
    return true;
}

const struct jrc_entry *jrc_server_list_repeat(
    const struct jrc_server_list *list)
{
    const struct jrc_entry *first = NULL;

    for (size_t i = 1; i < list->count; i++) {
        const struct jrc_entry *entry = list->by_address[i];
        if (jrc_entry_order(list->by_address[i - 1], entry) == 0 &&
            (first == NULL || entry < first))
            first = entry;
    }
    return first;
}

bool jrc_server_list_merge(struct jrc_server_list *list)
{
    struct jrc_entry *best = NULL;

    for (size_t i = 0; i < list->count; i++) {
        struct jrc_entry *entry = list->by_address[i];
        if (best == NULL || jrc_entry_order(best, entry) != 0) {
            best = entry;
        } else if (entry->group >= best->group) {
            best->is_written |= entry->is_written;
            jrc_server_list_drop(entry);
        } else {
            entry->is_written |= best->is_written;
            jrc_server_list_drop(best);
            best = entry;
        }
    }
    return jrc_server_list_finish(list);
}

void jrc_entry_print(const struct jrc_entry *entry, char *text, size_t size)
{
    static const char *const schemes[] = {
        [JRC_ENTRY_SERVER] = "",    [JRC_ENTRY_DNS] = "dns:",
        [JRC_ENTRY_DNS4] = "dns4:", [JRC_ENTRY_DNS6] = "dns6:",
        [JRC_ENTRY_SRV] = "srv:",   [JRC_ENTRY_FILE] = "file:",
    };
    bool is_bracketed = strpbrk(entry->host, ":%") != NULL;
    const char *form = entry->port == 0 ? "%s%s"
                       : is_bracketed   ? "%s[%s]:%u"
                                        : "%s%s:%u";

    snprintf(text, size, form, schemes[entry->kind], entry->host,
             (unsigned)entry->port);
}
