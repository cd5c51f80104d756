/* A client in an epoll loop.
 *
 *     cc loop_epoll.c -o loop_epoll $(pkg-config --cflags --libs jsonrpcc)
 */

#include "loop.h"

#include <sys/epoll.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct loop loop;
    int fd = loop_open(&loop, argc > 1 ? argv[1] : "localhost:9999");
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    while (!loop_is_done(&loop))
        if (epoll_wait(epoll_fd, &event, 1, -1) == 1)
            loop_poll(&loop);
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    close(epoll_fd);
    return loop_close(&loop);
}
