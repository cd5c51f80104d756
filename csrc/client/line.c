/* Waiting for room: first come, first served.
 *
 * Frames differ in size, so small frames that fit into any gap could keep a
 * large one waiting forever.  A thread that waits therefore gets a place in a
 * line, and no call takes the room that the first in line needs.  A call that
 * leaves enough may pass. */

#include "client/line.h"

#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>

/* How long a thread keeps its place while it is away: it has to read its whole
 * request again, with little of a busy machine's time. */
enum { PLACE_US = 250000, BYTES_PER_US = 10 };

/* A single frame above the bound is accepted if there is no other. */
static bool has_room(const struct jrc_core *core, uint32_t live, uint32_t flags,
                     size_t size)
{
    size_t queued = core->submission.held_bytes +
                    jrc_frames_size(&core->submission.pending);
    uint32_t most = core->options.max_in_flight +
                    ((flags & JSONRPCC_RESERVE) != 0 ? JRC_RESERVE : 0);

    return live == 0 ||
           (live < most &&
            (queued == 0 || queued + size <= core->options.max_queued_bytes));
}

/* Whether the first in line would still fit after such a frame. */
static bool leaves_enough(const struct jrc_core *core, uint32_t live,
                          size_t size)
{
    size_t queued = core->submission.held_bytes +
                    jrc_frames_size(&core->submission.pending);

    return live + 1 < core->options.max_in_flight &&
           queued + size + core->submission.line.first->size <=
               core->options.max_queued_bytes;
}

static void drop_first(struct jrc_line *line)
{
    struct jrc_place *first = line->first;

    line->first = first->next;
    free(first);
    pthread_cond_broadcast(&line->moved);
}

/* Drop the places of threads that did not come back. */
static void drop_lapsed(struct jrc_line *line, uint64_t now_us)
{
    while (line->first != NULL && !line->first->waiting &&
           now_us >= line->first->until_us)
        drop_first(line);
}

/* Not inline: every call would pay for what few need. */
__attribute__((noinline)) bool jrc_line_lets_pass(struct jrc_core *core,
                                                  uint32_t live, uint32_t flags,
                                                  size_t size)
{
    struct jrc_line *line = &core->submission.line;

    if (!has_room(core, live, flags, size))
        return false;
    /* The reserve is for callbacks, which cannot wait. */
    if (line->first == NULL || (flags & JSONRPCC_RESERVE) != 0 ||
        pthread_equal(line->first->thread, pthread_self()))
        return true;
    drop_lapsed(line, jrc_now_us());
    return line->first == NULL ||
           pthread_equal(line->first->thread, pthread_self()) ||
           leaves_enough(core, live, size);
}

void jrc_line_refused(struct jrc_core *core, size_t size)
{
    struct jrc_line *line = &core->submission.line;
    size_t i = line->refused_count++ % JRC_REFUSALS;

    line->refused[i].thread = pthread_self();
    line->refused[i].size = size;
}

void jrc_line_leave(struct jrc_core *core)
{
    struct jrc_line *line = &core->submission.line;
    struct jrc_place **at = &line->first;

    while (*at != NULL && !pthread_equal((*at)->thread, pthread_self()))
        at = &(*at)->next;
    struct jrc_place *mine = *at;
    if (mine == NULL)
        return;
    if (mine == line->first) {
        drop_first(line);
        return;
    }
    *at = mine->next;
    free(mine);
}

void jrc_line_move(struct jrc_core *core)
{
    struct jrc_line *line = &core->submission.line;

    if (line->first != NULL &&
        has_room(core, core->submission.calls.live, 0, line->first->size))
        pthread_cond_broadcast(&line->moved);
}

void jrc_line_clear(struct jrc_core *core)
{
    while (core->submission.line.first != NULL)
        drop_first(&core->submission.line);
}

/* The size of this thread's last refused frame; 0 if that was long ago. */
static size_t refused_size(const struct jrc_line *line)
{
    uint64_t known =
        line->refused_count < JRC_REFUSALS ? line->refused_count : JRC_REFUSALS;

    for (uint64_t i = 1; i <= known; i++) {
        size_t at = (line->refused_count - i) % JRC_REFUSALS;
        if (pthread_equal(line->refused[at].thread, pthread_self()))
            return line->refused[at].size;
    }
    return 0;
}

/* This thread's place, or a new one at the end.  NULL: out of memory. */
static struct jrc_place *take_place(struct jrc_line *line)
{
    struct jrc_place **at = &line->first;

    while (*at != NULL && !pthread_equal((*at)->thread, pthread_self()))
        at = &(*at)->next;
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL)
            return NULL;
        (*at)->thread = pthread_self();
    }
    (*at)->size = refused_size(line);
    (*at)->waiting = true;
    return *at;
}

/* Wait until the line may have moved. */
static void stand(struct jrc_core *core, uint64_t until_us)
{
    const struct jrc_place *first = core->submission.line.first;

    if (first != NULL && !first->waiting && first->until_us < until_us)
        until_us = first->until_us;
    struct timespec until = jrc_timespec(until_us);
    pthread_cond_timedwait(&core->submission.line.moved, &core->lock, &until);
}

bool jrc_line_wait(struct jrc_core *core, int32_t timeout_ms)
{
    uint64_t now_us = jrc_now_us();
    uint64_t until_us = now_us + (uint64_t)timeout_ms * 1000;
    struct jrc_line *line = &core->submission.line;
    bool room;

    pthread_mutex_lock(&core->lock);
    size_t size = refused_size(line);
    struct jrc_place *place = NULL;
    for (;;) {
        room = core->life.closing ||
               jrc_line_lets_in(core, core->submission.calls.live, 0, size);
        if (room || now_us >= until_us)
            break;
        if (place == NULL)
            place = take_place(line); /* no memory: wait without a place */
        stand(core, until_us);
        now_us = jrc_now_us();
    }
    if (place != NULL) {
        place->waiting = false;
        place->until_us = now_us + PLACE_US + place->size / BYTES_PER_US;
    }
    pthread_mutex_unlock(&core->lock);
    return room;
}
