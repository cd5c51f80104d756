/* Waiting until a client is of use, on top of the public API. */

#include "jsonrpcc.h"

#include <errno.h>
#include <time.h>

/* Between two looks, at first and at last. */
enum { SOON_MS = 1, LATER_MS = 20 };

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_in_use(jsonrpcc_server_state state)
{
    return state == JSONRPCC_SERVER_UP || state == JSONRPCC_SERVER_PROVING;
}

static bool is_ready(jsonrpcc_client *client, bool all)
{
    uint32_t count = jsonrpcc_server_count(client);
    uint32_t listed = 0, used = 0, suspected = 0;

    for (uint32_t i = 0; i < count; i++) {
        jsonrpcc_server_info info = {.state = JSONRPCC_SERVER_GONE};
        jsonrpcc_server_get(client, i, &info, sizeof info);
        listed += info.state != JSONRPCC_SERVER_LEAVING &&
                  info.state != JSONRPCC_SERVER_GONE && !info.spare;
        used += is_in_use(info.state);
        suspected += info.state == JSONRPCC_SERVER_SUSPECT;
    }
    return all ? used == listed && listed > 0 : used + suspected > 0;
}

/* Nobody signals the waiter: it drives the loop, and says what forbids to
 * wait. */
static jsonrpcc_status wait_with(jsonrpcc_waiter *waiter,
                                 jsonrpcc_client *client, int32_t timeout_ms,
                                 bool all)
{
    int64_t end_ms = now_ms() + timeout_ms;
    int32_t pause_ms = 0;

    for (;;) {
        jsonrpcc_status status = jsonrpcc_wait(waiter, pause_ms);
        int64_t left_ms = timeout_ms < 0 ? LATER_MS : end_ms - now_ms();
        if (status != JSONRPCC_EPENDING)
            return status;
        if (is_ready(client, all))
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
