/* The rules for names and files: when they are looked up, and what an answer
 * changes in the list.  A failed lookup changes nothing. */
#include "engine/files.h"
#include "engine/names.h"
#include "sim_check.h"

#include <stdlib.h>

/* A clock that jumps may make a lookup late. */
enum { SLACK_US = 5000000 };

struct name {
    bool is_pending; /* a lookup has begun and has not ended */
    bool has_list;   /* a version of the file has been accepted */
    uint64_t lookup_us, answer_us;
    uint64_t longest_us;
    uint64_t truth;     /* the servers that it has */
    uint64_t belief;    /* those that it has by the answers so far */
    unsigned denials;   /* answers in a row that the name does not exist */
    uint64_t denied_us; /* when the first of them came */
    /* Of a file: the version that was read, but not yet accepted (0: none), and
     * when it was first read. */
    uint64_t pending_version, pending_us;
};

struct checker {
    struct name *names;
    /* By source, the id of its name in the list; 0: it is not there. */
    uint32_t current[SIM_SOURCES], next[SIM_SOURCES];
    bool closing;
};

/* ---- lookups ---- */

static const char *check_lookup(struct name *name, const struct sim_record *r)
{
    if (name->is_pending)
        return "a name was looked up twice at the same time";
    if (name->lookup_us != 0 && r->time_us < name->lookup_us + r->waited_us)
        return "a name was looked up again too soon";
    name->is_pending = true;
    name->lookup_us = r->time_us;
    return NULL;
}

static const char *check_lateness(const struct checker *c, uint64_t now_us)
{
    for (int i = 0; i < SIM_SOURCES && !c->closing; i++) {
        const struct name *name = &c->names[c->current[i]];
        if (c->current[i] != 0 && !name->is_pending &&
            now_us > name->answer_us + name->longest_us + SLACK_US)
            return "a name was looked up again too late";
    }
    return NULL;
}

/* ---- answers ---- */

/* Whether the version that was read is accepted: at once if the file was moved
 * into place, or is old and the first; otherwise if it is still there later. */
static bool is_accepted(struct name *name, const struct sim_record *r)
{
    bool is_same = name->pending_version == r->answered_us;

    if ((r->flags & SIM_IS_MOVED) != 0 ||
        (!name->has_list && (r->flags & SIM_IS_OLD) != 0) ||
        (is_same && r->time_us >= name->pending_us + JRC_FILE_SETTLE_US))
        return true;
    if (!is_same)
        name->pending_us = r->time_us;
    name->pending_version = r->answered_us;
    return false;
}

static void note_file_answer(struct name *name, const struct sim_record *r)
{
    bool takes = r->status == JRC_ANSWER_FOUND && is_accepted(name, r);

    if (takes) {
        name->belief = r->value;
        name->has_list = true;
    }
    if (takes || r->status != JRC_ANSWER_FOUND)
        name->pending_version = 0;
}

static void note_name_answer(struct name *name, const struct sim_record *r)
{
    if (r->status != JRC_ANSWER_NONE)
        name->denials = 0;
    else if (name->denials++ == 0)
        name->denied_us = r->time_us;
    if (r->status == JRC_ANSWER_FOUND)
        name->belief = r->value;
    if (r->status == JRC_ANSWER_CLOSED ||
        (name->denials >= JRC_NONES_IN_A_ROW &&
         r->time_us - name->denied_us >= r->waited_us))
        name->belief = 0;
}

static const char *note_answer(struct checker *c, const struct sim_record *r)
{
    struct name *name = &c->names[r->link];

    name->is_pending = false;
    name->answer_us = r->time_us;
    if (c->current[r->server] != r->link)
        return NULL; /* it has left the list in the meantime */
    if (r->server == SIM_FILE)
        note_file_answer(name, r);
    else
        note_name_answer(name, r);
    return NULL;
}

/* ---- the list ---- */

static unsigned count(uint64_t bits)
{
    unsigned n = 0;

    for (; bits != 0; bits &= bits - 1)
        n++;
    return n;
}

static uint64_t belief_of(const struct checker *c, int source)
{
    return c->current[source] != 0 ? c->names[c->current[source]].belief : 0;
}

/* Looked up are the sources written in the list, and the name in a file. */
static const char *check_sources(const struct checker *c, uint32_t written)
{
    if ((belief_of(c, SIM_FILE) >> (SIM_SOURCE_BIT + SIM_NESTED) & 1) != 0)
        written |= 1U << SIM_NESTED;
    for (int i = 0; i < SIM_SOURCES; i++)
        if ((c->current[i] != 0) != ((written >> i & 1) != 0))
            return "a name in the list is not looked up, or vice versa";
    return NULL;
}

static const char *check_settled(const struct checker *c)
{
    for (int i = 0; i < SIM_SOURCES; i++)
        if (c->current[i] != 0 &&
            belief_of(c, i) != c->names[c->current[i]].truth)
            return "a change of a source was not noticed";
    return NULL;
}

static const char *check_listed(struct checker *c, const struct sim_record *r)
{
    uint64_t wanted = r->waited_us;

    for (int i = 0; i < SIM_SOURCES; i++) {
        c->current[i] = c->next[i];
        c->next[i] = 0;
        wanted |= belief_of(c, i) & (UINT32_MAX);
    }
    const char *wrong = check_sources(c, r->sends);
    if (wrong == NULL && (r->flags & SIM_LIST_SETTLED) != 0)
        wrong = check_settled(c);
    if (wrong != NULL || (r->flags & SIM_LIST_WAITS) != 0)
        return wrong;
    if ((r->value & ~wanted) != 0)
        return "a server is in the list that no source has";
    if ((r->waited_us & ~r->value) != 0)
        return "a server that was set in the list is not in use";
    if (count(r->value) > r->answered_us)
        return "there are more servers than max_servers";
    return r->value == wanted || count(r->value) == r->answered_us
               ? NULL
               : "a server is missing although no answer removed it";
}

/* The next SIM_LISTED has this name. */
static void note_named(struct checker *c, const struct sim_record *r)
{
    struct name *name = &c->names[r->link];

    c->next[r->server] = r->link;
    name->truth = r->value;
    name->longest_us = r->waited_us;
    if (name->answer_us == 0)
        name->answer_us = r->time_us;
}

static const char *check_record(struct checker *c, const struct sim_record *r)
{
    switch (r->kind) {
    case SIM_LOOKUP:
        return check_lookup(&c->names[r->link], r);
    case SIM_ANSWER:
        return note_answer(c, r);
    case SIM_NAMED:
        note_named(c, r);
        return NULL;
    case SIM_LISTED:
        return check_listed(c, r);
    case SIM_TICK:
        return check_lateness(c, r->time_us);
    case SIM_CLOSE:
        c->closing = true;
        return NULL;
    default:
        return NULL;
    }
}

const char *sim_check_names(const struct sim_history *history, size_t *at)
{
    struct checker c = {0};
    uint32_t most = 0;
    const char *rule = NULL;

    for (size_t i = 0; i < history->count; i++)
        if (history->list[i].kind >= SIM_LOOKUP && history->list[i].link > most)
            most = history->list[i].link;
    c.names = calloc(most + 1, sizeof *c.names);
    if (c.names == NULL)
        abort();
    for (*at = 0; *at < history->count && rule == NULL; ++*at)
        rule = check_record(&c, &history->list[*at]);
    if (rule != NULL)
        --*at;
    free(c.names);
    return rule;
}
