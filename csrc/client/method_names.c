#include "client/method_names.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct name {
    _Atomic uint16_t number; /* 0 until it is in the list */
    uint32_t hash;
    size_t len;
    char text[];
};

struct jrc_method_names {
    uint32_t most;
    _Atomic uint32_t count;        /* of numbers asked for: may exceed most */
    uint32_t mask;                 /* of the indices of slots */
    _Atomic(struct name *) *slots; /* a hash table that only grows */
    _Atomic(struct name *) *list;  /* by number - 1 */
};

/* More slots than names: a thread that loses a race leaves a name behind. */
static uint32_t slots_for(uint32_t most)
{
    uint32_t slots = 64;

    while (slots < 2 * most + 64)
        slots *= 2;
    return slots;
}

struct jrc_method_names *jrc_method_names_new(uint32_t most)
{
    struct jrc_method_names *names = calloc(1, sizeof *names);

    if (names == NULL)
        return NULL;
    names->most = most;
    names->mask = slots_for(most) - 1;
    names->slots = calloc((size_t)names->mask + 1, sizeof *names->slots);
    names->list = calloc((size_t)most + 1, sizeof *names->list);
    if (names->slots != NULL && names->list != NULL)
        return names;
    jrc_method_names_free(names);
    return NULL;
}

void jrc_method_names_free(struct jrc_method_names *names)
{
    if (names == NULL)
        return;
    for (uint32_t i = 0; names->slots != NULL && i <= names->mask; i++)
        free(atomic_load(&names->slots[i]));
    free(names->slots);
    free(names->list);
    free(names);
}

/* FNV-1a */
static uint32_t hash_of(const char *text, size_t len)
{
    uint32_t hash = 0x811c9dc5;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x01000193;
    return hash;
}

static struct name *new_name(const char *text, size_t len, uint32_t hash)
{
    struct name *name = malloc(sizeof *name + len + 1);

    if (name == NULL)
        return NULL;
    atomic_init(&name->number, 0);
    name->hash = hash;
    name->len = len;
    memcpy(name->text, text, len);
    name->text[len] = '\0';
    return name;
}

/* A name is in the table: give it a number. */
static uint16_t number_it(struct jrc_method_names *names, struct name *name)
{
    uint32_t number = atomic_fetch_add(&names->count, 1) + 1;

    if (number > names->most)
        return 0;
    atomic_store(&names->list[number - 1], name);
    atomic_store(&name->number, (uint16_t)number);
    return (uint16_t)number;
}

static bool is_name(const struct name *name, const char *text, size_t len,
                    uint32_t hash)
{
    return name->hash == hash && name->len == len &&
           memcmp(name->text, text, len) == 0;
}

uint16_t jrc_method_names_find(struct jrc_method_names *names, const char *text,
                               size_t len)
{
    if (names->most == 0 || len == 0 || len > JRC_METHOD_NAME_MAX)
        return 0;
    uint32_t hash = hash_of(text, len);
    for (uint32_t n = 0; n <= names->mask; n++) {
        _Atomic(struct name *) *slot = &names->slots[(hash + n) & names->mask];
        struct name *name = atomic_load(slot);
        if (name == NULL) {
            struct name *mine = atomic_load(&names->count) < names->most
                                    ? new_name(text, len, hash)
                                    : NULL;
            if (mine == NULL)
                return 0;
            if (atomic_compare_exchange_strong(slot, &name, mine))
                return number_it(names, mine);
            free(mine); /* and name is what another thread has put there */
        }
        if (is_name(name, text, len, hash))
            return atomic_load(&name->number);
    }
    return 0;
}

uint32_t jrc_method_names_count(const struct jrc_method_names *names)
{
    uint32_t count = atomic_load(&names->count);

    return count < names->most ? count : names->most;
}

const char *jrc_method_names_get(const struct jrc_method_names *names,
                                 uint32_t number, size_t *len)
{
    const struct name *name = NULL;

    if (number > 0 && number <= names->most)
        name = atomic_load(&names->list[number - 1]);
    *len = name != NULL ? name->len : 0;
    return name != NULL ? name->text : NULL;
}
