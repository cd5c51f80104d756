/* Waiting for room, the same for every style of call whose caller may wait. */

#include "python/room.h"

#include <time.h>

uint64_t spd_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void spd_room_init(struct spd_room *room, jsonrpcc_client *client,
                   jsonrpcc_queue *queue, uint64_t since_us, int32_t timeout_ms)
{
    room->client = client;
    room->queue = queue;
    room->deadline_us = since_us + (uint64_t)timeout_ms * 1000;
}

bool spd_room_wait(const struct spd_room *room)
{
    uint64_t now_us = spd_now_us();

    if (now_us >= room->deadline_us)
        return false;
    uint64_t left_ms = (room->deadline_us - now_us + 999) / 1000;
    int32_t slice = left_ms < SPD_SLICE_MS ? (int32_t)left_ms : SPD_SLICE_MS;
    PyThreadState *state = PyEval_SaveThread();
    if (room->queue != NULL)
        spd_core->queue_room(room->queue, slice);
    else
        spd_core->room(room->client, slice);
    PyEval_RestoreThread(state);
    /* A handler that raises here does what it would do while the call is
     * refused. */
    return PyErr_CheckSignals() == 0;
}
