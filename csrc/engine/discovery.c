#include "engine/discovery.h"

#include "engine/rendezvous.h"
#include "engine/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jrc_discovery_clear(struct jrc_discovery *discovery)
{
    for (size_t i = 0; i < discovery->count; i++)
        jrc_answer_clear(&discovery->names[i].answer);
    free(discovery->names);
    discovery->names = NULL;
    discovery->count = 0;
    jrc_server_list_clear(&discovery->entries);
    discovery->version++;
}

/* ---- the names ---- */

static struct jrc_name *find(struct jrc_discovery *discovery,
                             const struct jrc_entry *entry)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (jrc_entry_order(discovery->names[i].entry, entry) == 0)
            return &discovery->names[i];
    return NULL;
}

bool jrc_discovery_set(struct jrc_discovery *discovery,
                       struct jrc_server_list *entries, uint64_t now_us)
{
    struct jrc_name *names = calloc(entries->count + 1, sizeof *names);
    size_t count = 0;

    if (names == NULL)
        return false;
    for (size_t i = 0; i < entries->count; i++) {
        struct jrc_entry *entry = &entries->entries[i];
        if (entry->kind == JRC_ENTRY_SERVER)
            continue;
        struct jrc_name *known = find(discovery, entry);
        struct jrc_name *name = &names[count++];
        if (known != NULL) {
            *name = *known;
            memset(&known->answer, 0, sizeof known->answer);
        } else {
            name->id = ++discovery->last_id;
            name->next_us = now_us;
        }
        name->entry = entry;
        entry->name = name->id;
    }
    jrc_discovery_clear(discovery);
    discovery->names = names;
    discovery->count = count;
    discovery->entries = *entries;
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

/* ---- when ---- */

bool jrc_discovery_is_pending(const struct jrc_discovery *discovery,
                              uint64_t now_us)
{
    for (size_t i = 0; i < discovery->count; i++) {
        const struct jrc_name *name = &discovery->names[i];
        if (name->lookups == 0 &&
            (!name->asking || now_us < name->asked_us + discovery->patience_us))
            return true;
    }
    return false;
}

int32_t jrc_discovery_reason(const struct jrc_discovery *discovery)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (discovery->names[i].answer.count == 0)
            return discovery->names[i].reason;
    return 0;
}

uint64_t jrc_discovery_next_us(const struct jrc_discovery *discovery,
                               uint64_t now_us)
{
    uint64_t next_us = JRC_NEVER;

    for (size_t i = 0; i < discovery->count; i++) {
        const struct jrc_name *name = &discovery->names[i];
        uint64_t due_us = name->next_us;
        if (name->asking)
            due_us = name->asked_us + discovery->patience_us;
        if (name->asking && (name->lookups > 0 || due_us <= now_us))
            continue; /* nobody waits for it */
        if (due_us < next_us)
            next_us = due_us;
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
        return name;
    }
    return NULL;
}

void jrc_discovery_hasten(struct jrc_discovery *discovery, uint32_t id,
                          uint64_t now_us)
{
    struct jrc_name *name = jrc_discovery_find(discovery, id);

    if (name == NULL)
        return;
    uint64_t soon_us = name->asked_us + discovery->min_us;
    if (soon_us < now_us)
        soon_us = now_us;
    if (soon_us < name->next_us)
        name->next_us = soon_us;
}

/* Somewhere from low to high hundredths of us. */
static uint64_t jitter(uint64_t us, uint32_t low, uint32_t high, uint32_t dice)
{
    uint64_t width = us / 100 * (high - low);

    return us / 100 * low + width / UINT32_MAX * dice +
           width % UINT32_MAX * dice / UINT32_MAX;
}

/* After an answer that holds. */
static uint64_t holds_us(const struct jrc_discovery *discovery,
                         const struct jrc_name *name, uint32_t dice)
{
    if (name->entry->kind != JRC_ENTRY_SRV)
        return jitter(discovery->refresh_us, 90, 110, dice);
    uint64_t ttl_us = (uint64_t)name->answer.ttl_s * 1000000;
    if (name->answer.ttl_s > JRC_LONGEST_TTL_S)
        ttl_us = (uint64_t)JRC_LONGEST_TTL_S * 1000000;
    if (ttl_us < discovery->srv_us)
        ttl_us = discovery->srv_us;
    return jitter(ttl_us, 100, 110, dice); /* not before it is over */
}

/* After one that was none: with nothing in hand soon, and then less and less
 * often. */
static uint64_t retry_us(const struct jrc_discovery *discovery,
                         const struct jrc_name *name, uint32_t dice)
{
    uint64_t wait_us = discovery->min_us;

    if (name->answer.count > 0)
        return jitter(discovery->refresh_us, 90, 110, dice);
    for (uint32_t i = 1; i < name->misses && wait_us < discovery->refresh_us;
         i++)
        wait_us *= 2;
    if (wait_us > discovery->refresh_us)
        wait_us = discovery->refresh_us;
    return jitter(wait_us, 100, 150, dice);
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

bool jrc_discovery_answer(struct jrc_discovery *discovery,
                          struct jrc_name *name, struct jrc_answer *answer,
                          uint64_t now_us, uint32_t dice)
{
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

/* ---- the list ---- */

/* How a server of a name is shown: the name, and which of its addresses. */
static char *host_of(const struct jrc_name *name,
                     const struct jrc_target *target)
{
    size_t size = strlen(name->entry->host) + strlen(target->host) + 2;
    char *text = NULL;

    if (name->entry->kind == JRC_ENTRY_SRV)
        return strdup(target->host);
    text = malloc(size);
    if (text != NULL)
        snprintf(text, size, "%s/%s", name->entry->host, target->host);
    return text;
}

static bool add_target(struct jrc_server_list *list,
                       const struct jrc_name *name,
                       const struct jrc_target *target)
{
    struct jrc_entry *entry = jrc_server_list_add(list);

    if (entry == NULL)
        return false;
    entry->host = host_of(name, target);
    entry->port = target->port;
    entry->priority = name->entry->priority;
    entry->srv_priority = target->priority;
    entry->weight = target->share * name->entry->weight; /* one of them is 1 */
    entry->name = name->id;
    entry->is_absolute = name->entry->kind == JRC_ENTRY_SRV;
    return entry->host != NULL;
}

static bool add_server(struct jrc_server_list *list,
                       const struct jrc_entry *server)
{
    struct jrc_entry *entry = jrc_server_list_add(list);

    if (entry == NULL)
        return false;
    *entry = *server;
    entry->host = strdup(server->host);
    return entry->host != NULL;
}

/* All of them, of which some may be there twice. */
static bool add_all(const struct jrc_discovery *discovery,
                    struct jrc_server_list *list)
{
    size_t next = 0;

    for (size_t i = 0; i < discovery->entries.count; i++) {
        const struct jrc_entry *entry = &discovery->entries.entries[i];
        if (entry->kind == JRC_ENTRY_SERVER) {
            if (!add_server(list, entry))
                return false;
            continue;
        }
        const struct jrc_name *name = &discovery->names[next++];
        for (size_t k = 0; k < name->answer.count; k++)
            if (!add_target(list, name, &name->answer.targets[k]))
                return false;
    }
    return true;
}

static int larger_first(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x;
    uint64_t b = *(const uint64_t *)y;

    return (a < b) - (a > b);
}

/* Leave out servers of names until the list is as long as it may be.  Each
 * client chooses for itself, and the same ones again and again.  False: out of
 * memory. */
static bool cut(const struct jrc_discovery *discovery,
                struct jrc_server_list *list, size_t *left_out)
{
    size_t count = list->count, room = discovery->max, ranked = 0;
    uint64_t *ranks = calloc(count + 1, sizeof *ranks);

    *left_out = 0;
    if (ranks == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (list->entries[i].name == 0 && room > 0)
            room--; /* it was written down: it stays */
        else
            ranks[ranked++] =
                jrc_rendezvous(discovery->seed, &list->entries[i]);
    }
    qsort(ranks, ranked, sizeof *ranks, larger_first);
    for (size_t i = 0; i < count; i++) {
        struct jrc_entry *entry = &list->entries[i];
        if (ranked <= room || entry->name == 0 ||
            (room > 0 &&
             jrc_rendezvous(discovery->seed, entry) >= ranks[room - 1]))
            continue;
        jrc_server_list_drop(entry);
        ++*left_out;
    }
    free(ranks);
    return true;
}

bool jrc_discovery_list(const struct jrc_discovery *discovery,
                        struct jrc_server_list *list, size_t *left_out)
{
    memset(list, 0, sizeof *list);
    if (add_all(discovery, list) && jrc_server_list_finish(list) &&
        jrc_server_list_merge(list) && cut(discovery, list, left_out) &&
        jrc_server_list_finish(list))
        return true;
    jrc_server_list_clear(list);
    return false;
}
