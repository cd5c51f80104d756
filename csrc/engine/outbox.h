/* A queue of finished frames on their way to a socket.
 *
 * The bytes are contiguous, so that many frames go out in one send.  A frame
 * that has begun to leave stays whole until its last byte is gone, since until
 * then it can still be sent elsewhere.  Several frames have begun to leave if
 * the transport had to take bytes ahead, to encrypt them.  If its call ends in
 * the meantime, a frame is dead: it is skipped unless it has begun to leave.
 *
 * Not thread-safe; the owner of the queue guards it. */

#ifndef JRC_OUTBOX_H
#define JRC_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most room, in bytes and in frames, that a queue keeps beyond twice its
 * contents. */
enum { JRC_IDLE_ROOM = 262144, JRC_IDLE_LIST = 4096 };

struct jrc_frame {
    uint64_t id; /* of its call */
    size_t len;
};

/* All zero: an empty queue. */
struct jrc_frames {
    char *bytes; /* of the queued frames: bytes[start..end) */
    size_t start, end, room;
    size_t written;         /* bytes of the first frame that have left */
    size_t ahead;           /* bytes after them that cannot be held back */
    struct jrc_frame *list; /* list[first..last) */
    size_t first, last, list_room;
    size_t dead; /* bytes of frames whose calls have ended */
};

void jrc_frames_clear(struct jrc_frames *frames);

static inline bool jrc_frames_empty(const struct jrc_frames *frames)
{
    return frames->first == frames->last;
}

static inline size_t jrc_frames_size(const struct jrc_frames *frames)
{
    return frames->end - frames->start;
}

/* Make room for one more frame of len bytes, if there is none.  False: out of
 * memory. */
bool jrc_frames_make_room(struct jrc_frames *frames, size_t len);

/* Where to write one more frame of len bytes, or NULL if out of memory.  It
 * joins the queue with jrc_frames_added(). */
static inline char *jrc_frames_space(struct jrc_frames *frames, size_t len)
{
    bool has_room =
        len <= frames->room - frames->end && frames->last < frames->list_room;

    if (!has_room && !jrc_frames_make_room(frames, len))
        return NULL;
    return frames->bytes + frames->end;
}

static inline void jrc_frames_added(struct jrc_frames *frames, uint64_t id,
                                    size_t len)
{
    frames->list[frames->last++] = (struct jrc_frame){id, len};
    frames->end += len;
}

/* Append a copy of a frame. */
bool jrc_frames_append(struct jrc_frames *frames, uint64_t id,
                       const char *bytes, size_t len);

/* How many frames have begun to leave. */
size_t jrc_frames_begun(const struct jrc_frames *frames);

/* Move the frames that have begun to leave to another queue, which is empty.
 * False: out of memory, and nothing has changed. */
bool jrc_frames_split(struct jrc_frames *frames, struct jrc_frames *begun);

/* The first frame, and its removal. */
static inline const struct jrc_frame *jrc_frames_first(
    const struct jrc_frames *frames, const char **bytes)
{
    *bytes = frames->bytes + frames->start;
    return &frames->list[frames->first];
}

/* Release memory that a queue no longer needs. */
void jrc_frames_give_back(struct jrc_frames *frames);

static inline void jrc_frames_drop_first(struct jrc_frames *frames)
{
    frames->start += frames->list[frames->first++].len;
    frames->written = 0;
    if (jrc_frames_empty(frames) || frames->room > JRC_IDLE_ROOM ||
        frames->list_room > JRC_IDLE_LIST)
        jrc_frames_give_back(frames);
}

/* Remove the frames for which is_dead(arg, id) holds. */
void jrc_frames_purge(struct jrc_frames *frames,
                      bool (*is_dead)(const void *arg, uint64_t id),
                      const void *arg);

#endif
