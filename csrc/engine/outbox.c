#include "engine/outbox.h"

#include <stdlib.h>
#include <string.h>

void jrc_frames_clear(struct jrc_frames *frames)
{
    free(frames->bytes);
    free(frames->list);
    memset(frames, 0, sizeof *frames);
}

/* The size of a buffer for need bytes or frames: half as much again, so that
 * each is moved only a few times.  0: there is no such size. */
static size_t roomy(size_t need, size_t least)
{
    size_t size;

    if (__builtin_add_overflow(need, need / 2, &size))
        return 0;
    return size < least ? least : size;
}

/* Move the bytes to the front of their buffer. */
static void settle_bytes(struct jrc_frames *frames)
{
    size_t used = jrc_frames_size(frames);

    if (frames->start > 0)
        memmove(frames->bytes, frames->bytes + frames->start, used);
    frames->start = 0;
    frames->end = used;
}

static bool resize_bytes(struct jrc_frames *frames, size_t room)
{
    settle_bytes(frames);
    char *bytes = room == 0 ? NULL : realloc(frames->bytes, room);
    if (bytes == NULL)
        return false;
    frames->bytes = bytes;
    frames->room = room;
    return true;
}

static void settle_list(struct jrc_frames *frames)
{
    size_t used = frames->last - frames->first;

    if (frames->first > 0)
        memmove(frames->list, frames->list + frames->first,
                used * sizeof *frames->list);
    frames->first = 0;
    frames->last = used;
}

static bool resize_list(struct jrc_frames *frames, size_t room)
{
    settle_list(frames);
    struct jrc_frame *list =
        room == 0 ? NULL : reallocarray(frames->list, room, sizeof *list);
    if (list == NULL)
        return false;
    frames->list = list;
    frames->list_room = room;
    return true;
}

/* The room that was freed at the front is reused if it is enough to pay for the
 * move. */
static bool make_byte_room(struct jrc_frames *frames, size_t len)
{
    size_t used = jrc_frames_size(frames);
    size_t need;

    if (__builtin_add_overflow(used, len, &need))
        return false;
    if (frames->room < need || frames->room - need < used / 2)
        return resize_bytes(frames, roomy(need, 4096));
    settle_bytes(frames);
    return true;
}

static bool make_list_room(struct jrc_frames *frames)
{
    size_t used = frames->last - frames->first;

    if (frames->first <= used / 2)
        return resize_list(frames, roomy(used + 1, 64));
    settle_list(frames);
    return true;
}

/* Shrink a queue that used to be long.  If there is no memory for that, it
 * stays as it is. */
__attribute__((noinline)) static void trim(struct jrc_frames *frames)
{
    size_t bytes = jrc_frames_size(frames);
    size_t count = frames->last - frames->first;

    if (frames->room > JRC_IDLE_ROOM &&
        frames->room - JRC_IDLE_ROOM > 2 * bytes)
        resize_bytes(frames, roomy(bytes, 4096));
    if (frames->list_room > JRC_IDLE_LIST &&
        frames->list_room - JRC_IDLE_LIST > 2 * count)
        resize_list(frames, roomy(count, 64));
}

bool jrc_frames_make_room(struct jrc_frames *frames, size_t len)
{
    if (len > frames->room - frames->end && !make_byte_room(frames, len))
        return false;
    return frames->last < frames->list_room || make_list_room(frames);
}

bool jrc_frames_append(struct jrc_frames *frames, uint64_t id,
                       const char *bytes, size_t len)
{
    char *space = jrc_frames_space(frames, len);

    if (space == NULL)
        return false;
    memcpy(space, bytes, len);
    jrc_frames_added(frames, id, len);
    return true;
}

size_t jrc_frames_begun(const struct jrc_frames *frames)
{
    size_t bytes = frames->written + frames->ahead;
    size_t n = 0;

    for (size_t end = 0; end < bytes; n++)
        end += frames->list[frames->first + n].len;
    return n;
}

static void reset(struct jrc_frames *frames)
{
    frames->start = frames->end = 0;
    frames->first = frames->last = 0;
    frames->dead = frames->ahead = 0;
    if (frames->room > JRC_IDLE_ROOM || frames->list_room > JRC_IDLE_LIST)
        jrc_frames_clear(frames);
}

void jrc_frames_give_back(struct jrc_frames *frames)
{
    if (jrc_frames_empty(frames))
        reset(frames);
    else
        trim(frames);
}

void jrc_frames_purge(struct jrc_frames *frames,
                      bool (*is_dead)(const void *arg, uint64_t id),
                      const void *arg)
{
    size_t first = frames->first + jrc_frames_begun(frames);
    size_t kept = first;
    size_t from = frames->start;

    for (size_t i = frames->first; i < first; i++)
        from += frames->list[i].len;
    size_t to = from;
    for (size_t i = first; i < frames->last; i++) {
        struct jrc_frame frame = frames->list[i];
        if (!is_dead(arg, frame.id)) {
            memmove(frames->bytes + to, frames->bytes + from, frame.len);
            frames->list[kept++] = frame;
            to += frame.len;
        }
        from += frame.len;
    }
    frames->last = kept;
    frames->end = to;
    frames->dead = 0;
    if (jrc_frames_empty(frames))
        reset(frames);
    else
        trim(frames);
}

bool jrc_frames_split(struct jrc_frames *frames, struct jrc_frames *begun)
{
    size_t written = frames->written, ahead = frames->ahead;
    size_t at = frames->start;
    size_t count = jrc_frames_begun(frames);

    for (size_t n = 0; n < count; n++) {
        const struct jrc_frame *frame = &frames->list[frames->first + n];
        if (!jrc_frames_append(begun, frame->id, frames->bytes + at,
                               frame->len)) {
            jrc_frames_clear(begun);
            return false;
        }
        at += frame->len;
    }
    begun->written = written;
    begun->ahead = ahead;
    for (size_t n = 0; n < count; n++)
        jrc_frames_drop_first(frames);
    frames->ahead = 0;
    return true;
}
