/* Waiting until a client is of use, on top of the public API. */

#include "jsonrpcc.h"

#include <errno.h>
#include <time.h>

/* Between two looks, at first and at last. */
enum { SOON_MS = 1, LATER_MS = 20 };

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Nobody signals the waiter: it drives the loop, and says what forbids to
 * wait. */
static jsonrpcc_status wait_with(jsonrpcc_waiter *waiter,
                                 jsonrpcc_client *client, int32_t timeout_ms,
                                 bool all)
{
    int64_t end_us = now_us() + (int64_t)timeout_ms * 1000;
    int32_t pause_ms = 0;

    for (;;) {
        jsonrpcc_status status = jsonrpcc_wait(waiter, pause_ms);
        int64_t left_ms =
            timeout_ms < 0 ? LATER_MS : (end_us - now_us() + 999) / 1000;
        if (status != JSONRPCC_EPENDING)
            return status;
        if (jsonrpcc_is_ready(client, all))
            return JSONRPCC_OK;
        if (left_ms <= 0)
            return JSONRPCC_EPENDING;
        pause_ms = pause_ms == 0 ? SOON_MS : 2 * pause_ms;
        if (pause_ms > LATER_MS)
            pause_ms = LATER_MS;
        if (pause_ms > left_ms)
            pause_ms = (int32_t)left_ms;
    }
}

jsonrpcc_status jsonrpcc_wait_ready(jsonrpcc_client *client, int32_t timeout_ms,
                                    bool all)
{
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, true);

    if (waiter == NULL)
        return errno == ENOMEM ? JSONRPCC_ENOMEM
                               : (jsonrpcc_status)(JSONRPCC_SYSTEM + errno);
    jsonrpcc_status status = wait_with(waiter, client, timeout_ms, all);
    jsonrpcc_waiter_free(waiter);
    return status;
}
