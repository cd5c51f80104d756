#include "engine/names.h"

#include "engine/changes.h"
#include "engine/discovered.h"
#include "engine/dispatch.h"
#include "engine/files.h"

#include <errno.h>
#include <string.h>

/* What the rest of the engine goes by. */
static void update(struct jrc_engine *engine, uint64_t now_us)
{
    struct jrc_discovery *discovery = &engine->discovery;

    engine->servers->has_names = discovery->count > 0;
    engine->servers->awaits_names = jrc_discovery_is_pending(discovery, now_us);
    engine->names_us =
        engine->closing ? JRC_NEVER : jrc_discovery_next_us(discovery, now_us);
}

static void emit(struct jrc_engine *engine, jsonrpcc_event event)
{
    event.server = -1;
    jrc_add(&engine->counters.events[event.kind], 1);
    engine->sink.event(engine->sink.arg, &event);
}

/* The servers that all entries stand for.  False: out of memory; the next
 * answer sees to it. */
static bool list_servers(struct jrc_engine *engine,
                         struct jrc_server_list *list, uint64_t now_us)
{
    size_t left_out;

    engine->is_behind =
        !jrc_discovery_list(&engine->discovery, list, &left_out);
    if (engine->is_behind)
        return false;
    if (left_out > 0 && left_out != engine->left_out)
        emit(engine, (jsonrpcc_event){.kind = JSONRPCC_LIST_CUT,
                                      .time_us = now_us,
                                      .gone = (uint32_t)left_out});
    engine->left_out = left_out;
    return true;
}

static bool has_names(const struct jrc_server_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].kind != JRC_ENTRY_SERVER)
            return true;
    return false;
}

bool jrc_names_expand(struct jrc_engine *engine, struct jrc_server_list *list,
                      uint64_t now_us)
{
    bool is_done = true;

    if (!has_names(list)) {
        jrc_discovery_clear(&engine->discovery);
        engine->is_behind = false;
    } else {
        is_done = jrc_discovery_set(&engine->discovery, list, now_us) &&
                  list_servers(engine, list, now_us);
    }
    update(engine, now_us);
    return is_done;
}

void jrc_engine_set_servers(struct jrc_engine *engine,
                            struct jrc_server_list *list, uint64_t now_us)
{
    if (!engine->closing && jrc_names_expand(engine, list, now_us)) {
        jrc_changes_use(engine, list, now_us);
        return;
    }
    if (!engine->closing && list->count > 0) /* or the names are known */
        emit(engine, (jsonrpcc_event){.kind = JSONRPCC_LIST_REFUSED,
                                      .reason = ENOMEM,
                                      .time_us = now_us});
    jrc_server_list_clear(list);
}

const struct jrc_name *jrc_names_lookup(struct jrc_engine *engine,
                                        uint64_t now_us)
{
    if (engine->names_us > now_us)
        return NULL;
    const struct jrc_name *name = jrc_discovery_due(&engine->discovery, now_us);
    if (name != NULL)
        jrc_add(&engine->counters.lookups, 1);
    update(engine, now_us);
    return name;
}

/* The event of a name whose answer did not say which servers it has; 0: none.
 */
static jsonrpcc_event_kind fault_of(const struct jrc_name *name,
                                    bool had_failed)
{
    if (name->file != NULL)
        return name->file->is_news ? JSONRPCC_LIST_REFUSED : 0;
    return name->reason != 0 && !had_failed ? JSONRPCC_RESOLVE_FAILED : 0;
}

/* Go by what is known of names now. */
static void follow(struct jrc_engine *engine, uint64_t now_us)
{
    struct jrc_server_list list;

    if (list_servers(engine, &list, now_us))
        jrc_changes_use(engine, &list, now_us);
}

void jrc_names_answer(struct jrc_engine *engine, uint32_t id,
                      struct jrc_answer *answer, uint64_t now_us)
{
    struct jrc_name *name = jrc_discovery_find(&engine->discovery, id);
    jsonrpcc_event event = {.time_us = now_us, .entry = id};

    if (name == NULL || engine->closing) {
        jrc_answer_clear(answer);
        return;
    }
    bool had_failed = name->reason != 0;
    uint64_t failed = name->failed;
    bool changes = jrc_discovery_answer(&engine->discovery, name, answer,
                                        now_us, jrc_engine_roll(engine));
    name = jrc_discovery_find(&engine->discovery, id); /* it may have moved */
    event.reason = name->reason;
    if (name->file != NULL ? name->failed > failed : name->reason != 0)
        jrc_add(&engine->counters.lookups_failed, 1);
    event.kind = fault_of(name, had_failed);
    if (event.kind != 0)
        emit(engine, event);
    if (changes) {
        jrc_add(&engine->counters.list_changes, 1);
        event.kind = JSONRPCC_RESOLVED;
        event.added = name->added;
        event.gone = name->gone;
        emit(engine, event);
    }
    update(engine, now_us);
    if (changes || engine->is_behind)
        follow(engine, now_us);
    jrc_dispatch_flush_waiting(engine, now_us);
}

void jrc_names_tick(struct jrc_engine *engine, uint64_t now_us)
{
    update(engine, now_us);
}

void jrc_names_touch(struct jrc_engine *engine, uint32_t id, bool moved,
                     uint64_t now_us)
{
    struct jrc_name *name = jrc_discovery_find(&engine->discovery, id);

    if (name == NULL)
        return;
    jrc_files_touch(name, moved, now_us);
    update(engine, now_us);
}

const char *jrc_names_domain(struct jrc_engine *engine, uint32_t id)
{
    const struct jrc_name *name = jrc_discovery_find(&engine->discovery, id);

    if (id == 0 || name == NULL || name->entry->kind == JRC_ENTRY_FILE)
        return NULL;
    const char *domain = name->entry->host;
    if (name->entry->kind == JRC_ENTRY_SRV)
        for (int labels = 2; labels > 0; labels--)
            domain = strchr(domain, '.') + 1; /* the parser saw to that */
    return domain;
}
