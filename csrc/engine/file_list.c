#include "engine/file_list.h"

#include <stdlib.h>

void jrc_file_list_free(struct jrc_file_list *file)
{
    if (file != NULL)
        jrc_server_list_clear(&file->list);
    free(file);
}

bool jrc_stamp_is_same(const struct jrc_stamp *a, const struct jrc_stamp *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns && a->hash == b->hash;
}

static bool is_in_order(const struct jrc_server_list *a,
                        const struct jrc_server_list *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (jrc_entry_order(&a->entries[i], &b->entries[i]) != 0 ||
            a->entries[i].priority != b->entries[i].priority ||
            a->entries[i].weight != b->entries[i].weight)
            return false;
    return true;
}

bool jrc_file_list_is_same(const struct jrc_file_list *a,
                           const struct jrc_file_list *b, uint32_t *added,
                           uint32_t *gone)
{
    static const struct jrc_server_list none;
    const struct jrc_server_list *was = a != NULL ? &a->list : &none;
    const struct jrc_server_list *is = b != NULL ? &b->list : &none;
    size_t x = 0, y = 0;

    *added = *gone = 0;
    while (x < was->count || y < is->count) {
        int order = x == was->count  ? 1
                    : y == is->count ? -1
                                     : jrc_entry_order(was->by_address[x],
                                                       is->by_address[y]);
        *gone += order < 0;
        *added += order > 0;
        x += order <= 0;
        y += order >= 0;
    }
    return *added == 0 && *gone == 0 && is_in_order(was, is);
}
