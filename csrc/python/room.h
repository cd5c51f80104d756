/* Waiting for room, the same for every style of call whose caller may wait. */

#ifndef JRC_PYTHON_ROOM_H
#define JRC_PYTHON_ROOM_H

#include "python/core.h"

/* A call that found no room, and how long its caller waits. */
struct spd_room {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue; /* NULL: only room in the client */
    uint64_t deadline_us;
};

/* By CLOCK_MONOTONIC, as of jsonrpcc_call.since_us. */
uint64_t spd_now_us(void);

/* The call began at since_us. */
void spd_room_init(struct spd_room *room, jsonrpcc_client *client,
                   jsonrpcc_queue *queue, uint64_t since_us,
                   int32_t timeout_ms);

/* Wait for room, or for a slice of time, without the GIL.  False: no time is
 * left, or a signal handler raised. */
bool spd_room_wait(const struct spd_room *room);

#endif
