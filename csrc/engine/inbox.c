#include "engine/inbox.h"

#include <stdlib.h>
#include <string.h>

/* How much free room makes a recv() worth its system call. */
#define LEAST_SPACE 4096

/* The size of a buffer for a frame of which used bytes have arrived and need
 * are announced: twice what has arrived, and a bit more because frames are
 * often slightly larger than a power of two; or the whole frame if that is
 * less. */
static size_t buffer_size(const struct jrc_framing *framing, size_t used,
                          size_t need, size_t max_payload)
{
    size_t size = used * 2 + LEAST_SPACE;

    if (need > 0 && need <= framing->frame_size(max_payload) && need < size)
        size = need;
    return size < used + LEAST_SPACE ? used + LEAST_SPACE : size;
}

char *jrc_input_space(struct jrc_input *input, struct jrc_shared_input *shared,
                      size_t max_payload, size_t *room)
{
    size_t used = input->end - input->start;

    shared->prefix = 0;
    if (used == 0) {
        *room = shared->room;
        return shared->bytes;
    }
    size_t need = shared->framing->need(input->bytes + input->start, used);
    /* Put the beginning of a small frame in front of what comes next, so that
     * one recv() can bring the frames after it as well. */
    if (used <= shared->room / 2 && need <= shared->room / 2) {
        memcpy(shared->bytes, input->bytes + input->start, used);
        shared->prefix = used;
        *room = shared->room - used;
        return shared->bytes + used;
    }
    if (input->start > 0) {
        memmove(input->bytes, input->bytes + input->start, used);
        input->start = 0;
        input->end = used;
    }
    if (input->room - used < LEAST_SPACE) {
        size_t size = buffer_size(shared->framing, used, need, max_payload);
        char *bytes = realloc(input->bytes, size);
        if (bytes == NULL)
            return NULL;
        input->bytes = bytes;
        input->room = size;
    }
    *room = input->room - used;
    return input->bytes + used;
}

void jrc_input_received(struct jrc_input *input,
                        struct jrc_shared_input *shared, size_t n)
{
    if (input->start == input->end || shared->prefix > 0) {
        shared->start = 0;
        shared->end = shared->prefix + n;
        input->start = input->end = 0;
    } else {
        input->end += n;
    }
}

int jrc_input_next(struct jrc_input *input, struct jrc_shared_input *shared,
                   size_t max_payload, const char **payload, size_t *len)
{
    const char *bytes = shared->bytes;
    size_t *start = &shared->start;
    size_t end = shared->end;

    if (input->start != input->end) {
        bytes = input->bytes;
        start = &input->start;
        end = input->end;
    }
    ssize_t size = shared->framing->decode(bytes + *start, end - *start,
                                           max_payload, payload, len);
    if (size <= 0)
        return (int)size;
    *start += (size_t)size;
    return 1;
}

int jrc_input_keep(struct jrc_input *input, struct jrc_shared_input *shared,
                   size_t max_payload)
{
    const char *bytes = shared->bytes + shared->start;
    size_t left = shared->end - shared->start;

    if (left > 0) {
        /* A large frame's buffer is released with it. */
        if (input->room < left || input->room / 2 > left + LEAST_SPACE) {
            const struct jrc_framing *framing = shared->framing;
            size_t size = buffer_size(framing, left, framing->need(bytes, left),
                                      max_payload);
            free(input->bytes);
            input->bytes = malloc(size);
            input->room = input->bytes == NULL ? 0 : size;
            if (input->bytes == NULL)
                return -1;
        }
        memcpy(input->bytes, bytes, left);
        input->start = 0;
        input->end = left;
        shared->start = shared->end = 0;
    } else if (input->start == input->end) {
        jrc_input_clear(input);
    }
    return 0;
}

void jrc_input_clear(struct jrc_input *input)
{
    free(input->bytes);
    memset(input, 0, sizeof *input);
}
