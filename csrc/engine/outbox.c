#include "engine/outbox.h"

#include <stdlib.h>
#include <string.h>

/* An empty queue keeps no more than this. */
#define IDLE_ROOM 262144

void jrc_frames_clear(struct jrc_frames *frames)
{
    free(frames->bytes);
    free(frames->list);
    memset(frames, 0, sizeof *frames);
}

/* Next size of a buffer that holds used and shall hold need: doubling, so
 * that appending stays cheap.  0: no such size. */
static size_t grown(size_t room, size_t need, size_t least)
{
    size_t size = room < least ? least : room;

    while (size < need) {
        if (size > SIZE_MAX / 2)
            return 0;
        size *= 2;
    }
    return size;
}

static bool make_byte_room(struct jrc_frames *frames, size_t len)
{
    size_t used = jrc_frames_size(frames);
    size_t need;

    if (__builtin_add_overflow(used, len, &need))
        return false;
    /* Moving pays when what moves is less than what it frees. */
    if (frames->start > used && frames->room >= need) {
        memmove(frames->bytes, frames->bytes + frames->start, used);
    } else {
        if (__builtin_add_overflow(frames->end, len, &need))
            return false;
        size_t room = grown(frames->room, need, 4096);
        char *bytes = room == 0 ? NULL : realloc(frames->bytes, room);
        if (bytes == NULL)
            return false;
        frames->bytes = bytes;
        frames->room = room;
        return true;
    }
    frames->start = 0;
    frames->end = used;
    return true;
}

static bool make_list_room(struct jrc_frames *frames)
{
    size_t used = frames->last - frames->first;

    if (frames->first > used) {
        memmove(frames->list, frames->list + frames->first,
                used * sizeof *frames->list);
        frames->first = 0;
        frames->last = used;
        return true;
    }
    size_t room = grown(frames->list_room, frames->last + 1, 64);
    struct jrc_frame *list =
        room == 0 ? NULL : reallocarray(frames->list, room, sizeof *list);
    if (list == NULL)
        return false;
    frames->list = list;
    frames->list_room = room;
    return true;
}

char *jrc_frames_space(struct jrc_frames *frames, size_t len)
{
    if (len > frames->room - frames->end && !make_byte_room(frames, len))
        return NULL;
    if (frames->last == frames->list_room && !make_list_room(frames))
        return NULL;
    return frames->bytes + frames->end;
}

void jrc_frames_added(struct jrc_frames *frames, uint64_t id, size_t len)
{
    frames->list[frames->last++] = (struct jrc_frame){id, len};
    frames->end += len;
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

static void reset(struct jrc_frames *frames)
{
    frames->start = frames->end = 0;
    frames->first = frames->last = 0;
    frames->dead = 0;
    if (frames->room > IDLE_ROOM)
        jrc_frames_clear(frames);
}

void jrc_frames_drop_first(struct jrc_frames *frames)
{
    frames->start += frames->list[frames->first++].len;
    frames->written = 0;
    if (jrc_frames_empty(frames))
        reset(frames);
}

void jrc_frames_purge(struct jrc_frames *frames,
                      bool (*is_dead)(const void *arg, uint64_t id),
                      const void *arg)
{
    size_t first = frames->first + (frames->written > 0);
    size_t kept = first;
    size_t from = frames->start;

    if (first > frames->first)
        from += frames->list[frames->first].len;
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
}
