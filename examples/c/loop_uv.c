/* A client in a libuv loop.
 *
 *     cc loop_uv.c -o loop_uv $(pkg-config --cflags --libs jsonrpcc libuv)
 */

#include "loop.h"

#include <uv.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    if (!loop_poll(poll->data))
        uv_close((uv_handle_t *)poll, NULL); /* and with it the loop ends */
}

int main(int argc, char **argv)
{
    struct loop loop;
    int fd = loop_open(&loop, argc > 1 ? argv[1] : "localhost:9999");
    uv_poll_t poll;

    uv_poll_init(uv_default_loop(), &poll, fd);
    poll.data = &loop;
    uv_poll_start(&poll, UV_READABLE, on_readable);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
    return loop_close(&loop);
}
