/* A client in a GLib main loop.
 *
 *     cc loop_glib.c -o loop_glib $(pkg-config --cflags --libs jsonrpcc
 * glib-2.0)
 */

#include "loop.h"

#include <glib-unix.h>

static GMainLoop *main_loop;

static gboolean on_readable(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    if (loop_poll(loop))
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(main_loop);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    struct loop loop;
    int fd = loop_open(&loop, argc > 1 ? argv[1] : "localhost:9999");

    main_loop = g_main_loop_new(NULL, FALSE);
    g_unix_fd_add(fd, G_IO_IN, on_readable, &loop);
    g_main_loop_run(main_loop);
    g_main_loop_unref(main_loop);
    return loop_close(&loop);
}
