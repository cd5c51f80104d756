#include "engine/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jrc_file_free(struct jrc_file *file)
{
    if (file == NULL)
        return;
    jrc_file_list_free(file->list);
    jrc_answer_clear(&file->candidate);
    free(file);
}

const struct jrc_server_list *jrc_files_list(const struct jrc_name *name)
{
    return name->file != NULL && name->file->list != NULL
               ? &name->file->list->list
               : NULL;
}

const struct jrc_stamp *jrc_files_stamp(const struct jrc_name *name)
{
    return name->file != NULL && name->file->list != NULL
               ? &name->file->list->stamp
               : NULL;
}

/* ---- when ---- */

/* A look that does not wait for anything else, but for the last one. */
static uint64_t soon_us(const struct jrc_name *name, uint64_t now_us)
{
    uint64_t at_us = name->asked_us + JRC_FILE_GAP_US;

    return at_us > now_us ? at_us : now_us;
}

void jrc_files_begin(struct jrc_name *name)
{
    if (name->file == NULL)
        return;
    name->file->is_moved = name->file->moved;
    name->file->touched = name->file->moved = false;
}

void jrc_files_touch(struct jrc_name *name, bool moved, uint64_t now_us)
{
    struct jrc_file *file = name->file;

    if (file == NULL)
        return; /* its first look is under way, or about to begin */
    file->touched = true;
    file->moved = file->moved || moved;
    if (!name->asking && name->next_us > soon_us(name, now_us))
        name->next_us = soon_us(name, now_us);
}

void jrc_files_reread(struct jrc_name *name, uint64_t now_us)
{
    if (name->file != NULL && name->file->list != NULL)
        memset(&name->file->list->stamp, 0, sizeof name->file->list->stamp);
    jrc_files_touch(name, false, now_us);
}

/* With nothing in hand soon, and then less and less often. */
static uint64_t check_us(const struct jrc_name *name, uint64_t min_us)
{
    uint64_t wait_us = min_us;

    if (name->file->list != NULL)
        return JRC_FILE_CHECK_US;
    for (uint32_t i = 1; i < name->misses && wait_us < JRC_FILE_CHECK_US; i++)
        wait_us *= 2;
    return wait_us < JRC_FILE_CHECK_US ? wait_us : JRC_FILE_CHECK_US;
}

/* ---- what counts ---- */

static const struct jrc_stamp *stamp_of(const struct jrc_answer *answer)
{
    static const struct jrc_stamp none;

    return answer->file != NULL ? &answer->file->stamp : &none;
}

static bool is_like(const struct jrc_answer *a, const struct jrc_answer *b)
{
    return a->kind == b->kind && a->reason == b->reason &&
           jrc_stamp_is_same(stamp_of(a), stamp_of(b));
}

static bool is_known_fault(const struct jrc_name *name,
                           const struct jrc_answer *answer)
{
    return answer->kind == JRC_ANSWER_FAILED && name->reason != 0 &&
           answer->reason == name->reason &&
           jrc_stamp_is_same(stamp_of(answer), &name->file->refused);
}

static bool is_settled(const struct jrc_name *name,
                       const struct jrc_answer *answer, uint64_t now_us)
{
    const struct jrc_file *file = name->file;

    if (answer->kind == JRC_ANSWER_FOUND && file->is_moved)
        return true;
    if (file->list == NULL && (answer->file == NULL || answer->file->is_old))
        return true;
    return is_known_fault(name, answer) ||
           (file->candidate_us > 0 && is_like(answer, &file->candidate) &&
            now_us >= file->candidate_us + JRC_FILE_SETTLE_US);
}

/* Take it over, and look whether it stays. */
static void wait_for(struct jrc_name *name, struct jrc_answer *answer,
                     uint64_t now_us)
{
    struct jrc_file *file = name->file;
    bool is_another =
        file->candidate_us == 0 || !is_like(answer, &file->candidate);

    if (is_another)
        file->candidate_us = now_us;
    jrc_answer_clear(&file->candidate);
    file->candidate = *answer;
    memset(answer, 0, sizeof *answer);
    uint64_t settled_us = file->candidate_us + JRC_FILE_SETTLE_US;
    uint64_t at_us = soon_us(name, now_us);
    name->next_us = settled_us > at_us ? settled_us : at_us;
}

static void note_fault(struct jrc_name *name, const struct jrc_answer *answer)
{
    struct jrc_file *file = name->file;

    file->is_news = !is_known_fault(name, answer);
    name->failed++;
    name->misses++;
    name->reason = answer->reason;
    file->refused = *stamp_of(answer);
    file->why[0] = '\0';
    if (answer->file != NULL)
        snprintf(file->why, sizeof file->why, "%s", answer->file->why);
}

/* Put the list in force.  True: it says something else. */
static bool take(struct jrc_name *name, struct jrc_answer *answer,
                 uint64_t now_us)
{
    struct jrc_file *file = name->file;
    bool changes = !jrc_file_list_is_same(file->list, answer->file,
                                          &name->added, &name->gone);

    file->before = file->list;
    file->list = answer->file;
    answer->file = NULL;
    name->misses = 0;
    name->reason = 0;
    file->why[0] = '\0';
    name->found_us = now_us;
    if (!changes)
        jrc_files_done(name, true);
    return changes;
}

void jrc_files_done(struct jrc_name *name, bool is_in_force)
{
    struct jrc_file *file = name->file;

    if (is_in_force) {
        jrc_file_list_free(file->before);
    } else {
        jrc_file_list_free(file->list);
        file->list = file->before;
        note_fault(name, &(struct jrc_answer){.reason = ENOMEM});
    }
    file->before = NULL;
}

/* What is settled. */
static bool settle(struct jrc_name *name, struct jrc_answer *answer,
                   uint64_t now_us)
{
    struct jrc_file *file = name->file;

    jrc_answer_clear(&file->candidate);
    file->candidate_us = 0;
    name->lookups++;
    if (answer->kind == JRC_ANSWER_FOUND)
        return take(name, answer, now_us);
    if (answer->kind == JRC_ANSWER_SAME) {
        name->reason = 0;
        file->why[0] = '\0';
    } else {
        note_fault(name, answer);
    }
    return false;
}

/* Without memory, it is looked at again. */
static bool make(struct jrc_name *name)
{
    if (name->file == NULL)
        name->file = calloc(1, sizeof *name->file);
    return name->file != NULL;
}

bool jrc_files_answer(struct jrc_name *name, struct jrc_answer *answer,
                      uint64_t min_us, uint64_t now_us)
{
    bool changes = false;

    name->asking = false;
    name->next_us = now_us + min_us;
    if (make(name)) {
        struct jrc_file *file = name->file;
        file->is_news = false;
        if (answer->kind == JRC_ANSWER_TORN) {
            file->candidate_us = 0;
            name->next_us = now_us + JRC_FILE_SETTLE_US;
        } else if (answer->kind != JRC_ANSWER_SAME &&
                   !is_settled(name, answer, now_us)) {
            wait_for(name, answer, now_us);
        } else {
            changes = settle(name, answer, now_us);
            name->next_us = now_us + check_us(name, min_us);
        }
        if (file->touched && name->next_us > soon_us(name, now_us))
            name->next_us = soon_us(name, now_us);
    }
    jrc_answer_clear(answer);
    return changes;
}
