#include "engine/discovery.h"

#include "engine/chance.h"
#include "engine/files.h"
#include "engine/servers.h"

#include <stdlib.h>
#include <string.h>

static void forget_names(struct jrc_discovery *discovery)
{
    for (size_t i = 0; i < discovery->count; i++) {
        jrc_answer_clear(&discovery->names[i].answer);
        jrc_file_free(discovery->names[i].file);
    }
    free(discovery->names);
    discovery->names = NULL;
    discovery->count = 0;
    jrc_server_list_clear(&discovery->entries);
    discovery->version++;
}

void jrc_discovery_clear(struct jrc_discovery *discovery)
{
    forget_names(discovery);
    jrc_server_list_clear(&discovery->written);
}

/* ---- the names ---- */

static struct jrc_name *find(const struct jrc_discovery *discovery,
                             const struct jrc_entry *entry)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (jrc_entry_order(discovery->names[i].entry, entry) == 0)
            return &discovery->names[i];
    return NULL;
}

/* A copy of the entry at the end of list.  NULL: out of memory. */
static struct jrc_entry *add_copy(struct jrc_server_list *list,
                                  const struct jrc_entry *entry)
{
    struct jrc_entry *copy = jrc_server_list_add(list);

    if (copy == NULL)
        return NULL;
    *copy = *entry;
    copy->host = strdup(entry->host);
    return copy->host != NULL ? copy : NULL;
}

/* The entry; and, if it is a file, what that has. */
static bool add_entry(struct jrc_discovery *discovery,
                      struct jrc_server_list *list,
                      const struct jrc_entry *written)
{
    const struct jrc_name *known = find(discovery, written);
    struct jrc_entry *entry = add_copy(list, written);

    if (entry == NULL)
        return false;
    entry->name = 0;
    entry->is_written = written->kind == JRC_ENTRY_SERVER;
    if (written->kind != JRC_ENTRY_FILE)
        return true;
    uint32_t id = known != NULL ? known->id : ++discovery->last_id;
    entry->name = id;
    const struct jrc_server_list *has =
        known != NULL ? jrc_files_list(known) : NULL;
    for (size_t i = 0; has != NULL && i < has->count; i++) {
        entry = add_copy(list, &has->entries[i]);
        if (entry == NULL)
            return false;
        entry->name = id;
    }
    return true;
}

/* All entries of a list that users wrote, each once. */
static bool flatten(struct jrc_discovery *discovery,
                    const struct jrc_server_list *written,
                    struct jrc_server_list *list)
{
    memset(list, 0, sizeof *list);
    for (size_t i = 0; i < written->count; i++)
        if (!add_entry(discovery, list, &written->entries[i]))
            return false;
    return jrc_server_list_finish(list) && jrc_server_list_merge(list);
}

/* The name that an entry is: what is known of it is moved there. */
static void move_name(struct jrc_discovery *discovery, struct jrc_name *name,
                      struct jrc_entry *entry, uint64_t now_us)
{
    struct jrc_name *known = find(discovery, entry);

    if (known != NULL) {
        bool is_other = entry->priority != known->entry->priority ||
                        entry->weight != known->entry->weight;
        *name = *known;
        memset(&known->answer, 0, sizeof known->answer);
        known->file = NULL;
        if (is_other && entry->kind == JRC_ENTRY_FILE)
            jrc_files_reread(name, now_us); /* they are those of its entries */
    } else {
        name->id =
            entry->kind == JRC_ENTRY_FILE ? entry->name : ++discovery->last_id;
        name->next_us = now_us;
    }
    name->entry = entry;
    entry->name = name->id;
}

/* Go by that list, with the names that are in it.  False: out of memory. */
static bool use(struct jrc_discovery *discovery,
                const struct jrc_server_list *written, uint64_t now_us)
{
    struct jrc_server_list list;
    struct jrc_name *names = NULL;
    size_t count = 0;

    if (flatten(discovery, written, &list))
        names = calloc(list.count + 1, sizeof *names);
    if (names == NULL) {
        jrc_server_list_clear(&list);
        return false;
    }
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i].kind != JRC_ENTRY_SERVER)
            move_name(discovery, &names[count++], &list.entries[i], now_us);
    forget_names(discovery);
    discovery->names = names;
    discovery->count = count;
    discovery->entries = list;
    return true;
}

bool jrc_discovery_set(struct jrc_discovery *discovery,
                       struct jrc_server_list *entries, uint64_t now_us)
{
    if (!use(discovery, entries, now_us))
        return false;
    jrc_server_list_clear(&discovery->written);
    discovery->written = *entries;
    memset(entries, 0, sizeof *entries);
    return true;
}

struct jrc_name *jrc_discovery_find(struct jrc_discovery *discovery,
                                    uint32_t id)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (discovery->names[i].id == id)
            return &discovery->names[i];
    return NULL;
}

size_t jrc_name_count(const struct jrc_name *name)
{
    const struct jrc_server_list *list = jrc_files_list(name);

    return list != NULL ? list->count : name->answer.count;
}

/* ---- when ---- */

/* Until when calls wait for its first lookup; 0: they do not. */
static uint64_t waited_for_us(const struct jrc_discovery *discovery,
                              const struct jrc_name *name)
{
    if (name->lookups > 0)
        return 0;
    return name->began_us > 0 ? name->began_us + discovery->patience_us
                              : JRC_NEVER;
}

bool jrc_discovery_is_pending(const struct jrc_discovery *discovery,
                              uint64_t now_us)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (now_us < waited_for_us(discovery, &discovery->names[i]))
            return true;
    return false;
}

int32_t jrc_discovery_reason(const struct jrc_discovery *discovery)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (jrc_name_count(&discovery->names[i]) == 0)
            return discovery->names[i].reason;
    return 0;
}

uint64_t jrc_discovery_next_us(const struct jrc_discovery *discovery,
                               uint64_t now_us)
{
    uint64_t next_us = JRC_NEVER;

    for (size_t i = 0; i < discovery->count; i++) {
        const struct jrc_name *name = &discovery->names[i];
        uint64_t waited_us = waited_for_us(discovery, name);
        if (waited_us > now_us && waited_us < next_us)
            next_us = waited_us;
        if (!name->asking && name->next_us < next_us)
            next_us = name->next_us;
    }
    return next_us;
}

struct jrc_name *jrc_discovery_due(struct jrc_discovery *discovery,
                                   uint64_t now_us)
{
    for (size_t i = 0; i < discovery->count; i++) {
        struct jrc_name *name = &discovery->names[i];
        if (name->asking || name->next_us > now_us)
            continue;
        discovery->version++;
        name->asking = true;
        name->asked_us = now_us;
        if (name->began_us == 0)
            name->began_us = now_us;
        jrc_files_begin(name);
        return name;
    }
    return NULL;
}

void jrc_discovery_hasten(struct jrc_discovery *discovery, uint32_t id,
                          uint64_t now_us)
{
    struct jrc_name *name = jrc_discovery_find(discovery, id);

    if (name == NULL || name->entry->kind == JRC_ENTRY_FILE)
        return;
    uint64_t soon_us = name->asked_us + discovery->min_us;
    if (soon_us < now_us)
        soon_us = now_us;
    if (soon_us < name->next_us)
        name->next_us = soon_us;
}

/* After an answer that holds. */
static uint64_t holds_us(const struct jrc_discovery *discovery,
                         const struct jrc_name *name, uint32_t dice)
{
    if (name->entry->kind != JRC_ENTRY_SRV)
        return jrc_chance_between(discovery->refresh_us, 90, 110, dice);
    uint64_t ttl_us = (uint64_t)name->answer.ttl_s * 1000000;
    if (name->answer.ttl_s > JRC_LONGEST_TTL_S)
        ttl_us = (uint64_t)JRC_LONGEST_TTL_S * 1000000;
    if (ttl_us < discovery->srv_us)
        ttl_us = discovery->srv_us;
    /* Not before it is over. */
    return jrc_chance_between(ttl_us, 100, 110, dice);
}

/* After one that was none: with nothing in hand soon, and then less and less
 * often. */
static uint64_t retry_us(const struct jrc_discovery *discovery,
                         const struct jrc_name *name, uint32_t dice)
{
    uint64_t wait_us = discovery->min_us;

    if (name->answer.count > 0)
        return jrc_chance_between(discovery->refresh_us, 90, 110, dice);
    for (uint32_t i = 1; i < name->misses && wait_us < discovery->refresh_us;
         i++)
        wait_us *= 2;
    if (wait_us > discovery->refresh_us)
        wait_us = discovery->refresh_us;
    return jrc_chance_between(wait_us, 100, 150, dice);
}

/* ---- answers ---- */

/* Whether it is to be believed that there is nothing. */
static bool is_sure(const struct jrc_discovery *discovery,
                    struct jrc_name *name, enum jrc_answer_kind kind,
                    uint64_t now_us)
{
    if (kind == JRC_ANSWER_CLOSED)
        return true;
    if (kind != JRC_ANSWER_NONE) {
        name->nones = 0; /* not in a row */
        return false;
    }
    if (name->nones++ == 0)
        name->none_us = now_us;
    return name->nones >= JRC_NONES_IN_A_ROW &&
           now_us - name->none_us >= discovery->refresh_us;
}

/* Of a file: its entries become part of the list. */
static bool answer_file(struct jrc_discovery *discovery, struct jrc_name *name,
                        struct jrc_answer *answer, uint64_t now_us)
{
    uint32_t id = name->id;

    discovery->version++;
    if (!jrc_files_answer(name, answer, discovery->min_us, now_us))
        return false;
    bool is_in_force = use(discovery, &discovery->written, now_us);
    jrc_files_done(jrc_discovery_find(discovery, id), is_in_force);
    return is_in_force;
}

bool jrc_discovery_answer(struct jrc_discovery *discovery,
                          struct jrc_name *name, struct jrc_answer *answer,
                          uint64_t now_us, uint32_t dice)
{
    if (name->entry->kind == JRC_ENTRY_FILE)
        return answer_file(discovery, name, answer, now_us);
    bool has_found = answer->kind == JRC_ANSWER_FOUND;
    bool takes = is_sure(discovery, name, answer->kind, now_us) || has_found;
    bool changes = false;

    discovery->version++;
    name->asking = false;
    name->lookups++;
    name->failed += answer->kind == JRC_ANSWER_FAILED;
    name->reason = answer->reason;
    name->misses = has_found ? 0 : name->misses + 1;
    if (has_found)
        name->found_us = now_us;
    if (takes) {
        jrc_answer_sort(answer);
        changes = !jrc_answer_is_same(&name->answer, answer, &name->added,
                                      &name->gone);
        jrc_answer_clear(&name->answer);
        name->answer = *answer;
        memset(answer, 0, sizeof *answer);
    }
    jrc_answer_clear(answer);
    name->next_us = now_us + (has_found ? holds_us(discovery, name, dice)
                                        : retry_us(discovery, name, dice));
    return changes;
}
