/* Waiting for room, the same for every style of call whose caller may wait. */

#include "python/room.h"

#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void spd_room_init(struct spd_room *room, jsonrpcc_client *client,
                   jsonrpcc_queue *queue, int32_t timeout_ms)
{
    room->client = client;
    room->queue = queue;
    room->deadline_ms = now_ms() + timeout_ms;
}

bool spd_room_wait(const struct spd_room *room, int32_t *left_ms)
{
    int64_t left = room->deadline_ms - now_ms();
    int32_t slice = left < SPD_SLICE_MS ? (int32_t)left : SPD_SLICE_MS;

    if (left <= 0)
        return false;
    PyThreadState *state = PyEval_SaveThread();
    if (room->queue != NULL)
        spd_core->queue_room(room->queue, slice);
    else
        spd_core->room(room->client, slice);
    PyEval_RestoreThread(state);
    /* A handler that raises here does what it would do while the call is
     * refused. */
    if (PyErr_CheckSignals() != 0)
        return false;
    left = room->deadline_ms - now_ms();
    *left_ms = left > 1 ? (int32_t)left : 1;
    return true;
}
