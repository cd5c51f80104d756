/* A client in a libevent loop of the program's own.
 *
 *     cc loop_libevent.c -o loop_libevent \
 *         $(pkg-config --cflags --libs jsonrpcc libevent_core)
 */

#include "loop.h"

#include <event2/event.h>

static struct event_base *base;

static void on_readable(evutil_socket_t fd, short what, void *loop)
{
    (void)fd;
    (void)what;
    if (!loop_poll(loop))
        event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    struct loop loop;
    int fd = loop_open(&loop, argc > 1 ? argv[1] : "localhost:9999");
    base = event_base_new();
    struct event *event =
        event_new(base, fd, EV_READ | EV_PERSIST, on_readable, &loop);

    event_add(event, NULL);
    event_base_dispatch(base);
    event_free(event);
    event_base_free(base);
    return loop_close(&loop);
}
