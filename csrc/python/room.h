/* Waiting for room, as every style of call does whose caller may wait. */

#ifndef JRC_PYTHON_ROOM_H
#define JRC_PYTHON_ROOM_H

#include "python/core.h"

/* A call that found no room, and how long its caller waits for it. */
struct spd_room {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue; /* NULL: room in the client alone */
    int64_t deadline_ms;
};

void spd_room_init(struct spd_room *room, jsonrpcc_client *client,
                   jsonrpcc_queue *queue, int32_t timeout_ms);

/* Wait for room, without the GIL, or a slice of time; *left_ms becomes what is
 * left of the call's time.  False: nothing is, or a signal handler raised. */
bool spd_room_wait(const struct spd_room *room, int32_t *left_ms);

#endif
