/* Waiting for room: first come, first served. */

#ifndef JRC_LINE_H
#define JRC_LINE_H

#include "client/core.h"

/* Like jsonrpcc_room(). */
bool jrc_line_wait(struct jrc_core *core, int32_t timeout_ms);

/* jrc_line_lets_in() when the answer is not obvious. */
bool jrc_line_lets_pass(struct jrc_core *core, uint32_t live, uint32_t flags,
                        size_t size);

/* Under the lock: whether this thread may take room for a frame of size bytes,
 * with live calls in flight.  It may if there is room and it does not jump the
 * line. */
static inline bool jrc_line_lets_in(struct jrc_core *core, uint32_t live,
                                    uint32_t flags, size_t size)
{
    size_t queued = core->submission.held_bytes +
                    jrc_frames_size(&core->submission.pending);

    return (core->submission.line.first == NULL &&
            live < core->options.max_in_flight &&
            queued + size <= core->options.max_queued_bytes) ||
           jrc_line_lets_pass(core, live, flags, size);
}

/* Under the lock: this thread was refused, or let in. */
void jrc_line_refused(struct jrc_core *core, size_t size);
void jrc_line_leave(struct jrc_core *core);

/* Under the lock: there is more room now. */
void jrc_line_move(struct jrc_core *core);

void jrc_line_clear(struct jrc_core *core);

#endif
