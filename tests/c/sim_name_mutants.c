#include "engine/names.h"
#include "sim_mutants.h"

#include <string.h>

static uint64_t lowest(uint64_t bits)
{
    return bits & (~bits + 1);
}

/* The first list after an answer of that status that has a server from a
 * source.  No other list waits, and the faults are not over. */
static size_t find_list_after(const struct sim_history *h, int status)
{
    size_t i = sim_mutant_find(h, 0, SIM_ANSWER, status);

    while (i < h->count) {
        size_t k = sim_mutant_find(h, i, SIM_LISTED, -1);
        if (k < h->count && h->list[k].flags == 0 &&
            (h->list[k].value & ~h->list[k].waited_us) != 0)
            return k;
        i = sim_mutant_find(h, i + 1, SIM_ANSWER, status);
    }
    return h->count;
}

static bool remove_after(struct sim_history *h, int status)
{
    size_t i = find_list_after(h, status);

    if (i == h->count)
        return false;
    /* A full list may lack any server; so raise the limit. */
    h->list[i].answered_us = 64;
    h->list[i].value ^= lowest(h->list[i].value & ~h->list[i].waited_us);
    return true;
}

static bool failure_removes(struct sim_history *h)
{
    return remove_after(h, JRC_ANSWER_FAILED);
}

static bool none_removes(struct sim_history *h)
{
    return remove_after(h, JRC_ANSWER_NONE);
}

static bool torn_removes(struct sim_history *h)
{
    return remove_after(h, JRC_ANSWER_TORN);
}

static bool answer_adds_no_server(struct sim_history *h)
{
    return remove_after(h, JRC_ANSWER_FOUND);
}

static bool list_unknown_server(struct sim_history *h)
{
    size_t i = find_list_after(h, -1);

    if (i == h->count)
        return false;
    h->list[i].value |= UINT64_C(1) << 31;
    return true;
}

static bool drop_written_server(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_LISTED && h->list[i].waited_us != 0 &&
            (h->list[i].flags & SIM_LIST_WAITS) == 0) {
            h->list[i].value &= ~lowest(h->list[i].waited_us);
            return true;
        }
    return false;
}

static bool exceed_max_servers(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_LISTED && h->list[i].value != 0 &&
            (h->list[i].flags & SIM_LIST_WAITS) == 0) {
            h->list[i].answered_us = 0;
            return true;
        }
    return false;
}

static bool believe_too_few_denials(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_LISTED, -1);

    /* As if a single denial counted. */
    for (; i < h->count; i = sim_mutant_find(h, i + 1, SIM_LISTED, -1)) {
        size_t k = i;
        while (k > 0 && h->list[k - 1].kind == SIM_NAMED)
            k--;
        if (k == 0 || h->list[k - 1].kind != SIM_ANSWER ||
            h->list[k - 1].status != JRC_ANSWER_NONE || h->list[i].flags != 0)
            continue;
        uint64_t rest = h->list[i].value & ~h->list[i].waited_us;
        if (rest == 0)
            continue;
        h->list[i].answered_us = 64;
        h->list[i].value &= ~rest;
        return true;
    }
    return false;
}

static size_t find_second_lookup(const struct sim_history *h, size_t *before)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->list[i].kind != SIM_LOOKUP)
            continue;
        for (size_t k = i + 1; k < h->count; k++)
            if (h->list[k].kind == SIM_LOOKUP &&
                h->list[k].link == h->list[i].link) {
                *before = i;
                return k;
            }
    }
    return h->count;
}

static bool look_up_too_soon(struct sim_history *h)
{
    size_t before, i = find_second_lookup(h, &before);

    if (i < h->count)
        h->list[i].waited_us = h->list[i].time_us - h->list[before].time_us + 1;
    return i < h->count;
}

static bool look_up_twice_at_once(struct sim_history *h)
{
    size_t before, i = find_second_lookup(h, &before);

    if (i == h->count)
        return false;
    for (size_t k = before; k < i; k++) /* remove the answer in between */
        if (h->list[k].kind == SIM_ANSWER && h->list[k].link == h->list[i].link)
            h->list[k].kind = SIM_TICK;
    return true;
}

/* The last name of the list that came long after the faults were over. */
static size_t find_settled(const struct sim_history *h)
{
    for (size_t i = h->count; i-- > 1;)
        if (h->list[i].kind == SIM_LISTED &&
            (h->list[i].flags & SIM_LIST_SETTLED) != 0 &&
            h->list[i - 1].kind == SIM_NAMED)
            return i - 1;
    return h->count;
}

static bool never_look_up_again(struct sim_history *h)
{
    size_t last = find_settled(h);
    unsigned lookups = 0;

    if (last == h->count)
        return false;
    for (size_t i = 0; i < h->count; i++) {
        struct sim_record *r = &h->list[i];
        if (r->link != h->list[last].link)
            continue;
        if (r->kind == SIM_NAMED)
            r->waited_us = 0;
        lookups += r->kind == SIM_LOOKUP;
        if (lookups > 1 && (r->kind == SIM_LOOKUP || r->kind == SIM_ANSWER))
            r->kind = SIM_TICK;
    }
    return lookups > 1;
}

static bool forget_a_name(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_LISTED && h->list[i].sends != 0) {
            h->list[i].sends = 0;
            return true;
        }
    return false;
}

static bool miss_a_change(struct sim_history *h)
{
    size_t last = find_settled(h);

    if (last < h->count)
        h->list[last].value ^= 1;
    return last < h->count;
}

const struct sim_mutant sim_name_mutants[] = {
    {"a failed lookup removes a server", failure_removes},
    {"a denial removes a server", none_removes},
    {"a half-written file removes a server", torn_removes},
    {"an answer that is ignored", answer_adds_no_server},
    {"too few denials are believed", believe_too_few_denials},
    {"a server that no source has", list_unknown_server},
    {"a server set in the list is left out", drop_written_server},
    {"more servers than max_servers", exceed_max_servers},
    {"looked up too soon", look_up_too_soon},
    {"looked up twice at the same time", look_up_twice_at_once},
    {"never looked up again", never_look_up_again},
    {"a name that is not looked up", forget_a_name},
    {"a change that is never noticed", miss_a_change},
};

const size_t sim_name_mutant_count =
    sizeof sim_name_mutants / sizeof sim_name_mutants[0];
