/* Waiting for room, the same for every style of call whose caller may wait. */

#ifndef JRC_PYTHON_ROOM_H
#define JRC_PYTHON_ROOM_H

#include "python/core.h"

/* A call that found no room, and how long its caller waits. */
struct spd_room {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue; /* NULL: only room in the client */
    int64_t deadline_ms;
};

void spd_room_init(struct spd_room *room, jsonrpcc_client *client,
                   jsonrpcc_queue *queue, int32_t timeout_ms);

/* Wait for room, or for a slice of time, without the GIL; sets *left_ms to what
 * is left of the call's time.  False: nothing is left, or a signal handler
 * raised. */
bool spd_room_wait(const struct spd_room *room, int32_t *left_ms);

#endif
