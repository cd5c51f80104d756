/* A server that remembers, even after a kill -9, which calls it has run.
 *
 *   witness LEDGER CALLS LIFE HOST PORT DELAY_MS
 *
 * Params are [n], n the number of the call, or none.  Each request counts in
 * LEDGER, a file that all processes map, and is answered DELAY_MS later.
 * SIGTERM ends it at once: whoever sends that has waited for the clients. */
#include "ledger.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <json-c/json.h>

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct conn {
    struct bufferevent *stream; /* NULL when it is closed */
    unsigned pending;           /* replies that point here */
};

struct reply {
    struct conn *conn;
    struct json_object *id, *result;
};

static struct event_base *base;
static struct ledger *ledger;
static struct life *life;
static uint64_t calls;
static const struct timeval *delay;

static void map_ledger(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        err(1, "%s", path);
    if ((size_t)status.st_size < sizeof *ledger + calls)
        errx(1, "%s is too short", path);
    ledger = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE,
                  MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED)
        err(1, "mmap");
}

static void forget(struct conn *conn)
{
    if (!conn->stream && !conn->pending)
        free(conn);
}

static void close_conn(struct conn *conn)
{
    bufferevent_free(conn->stream);
    conn->stream = NULL;
    forget(conn);
}

static void send_reply(evutil_socket_t fd, short what, void *arg)
{
    struct reply *reply = arg;
    struct conn *conn = reply->conn;

    (void)fd;
    (void)what;
    conn->pending--;
    if (conn->stream) {
        struct json_object *message = json_object_new_object();

        json_object_object_add(message, "jsonrpc",
                               json_object_new_string("2.0"));
        json_object_object_add(message, "result",
                               json_object_get(reply->result));
        json_object_object_add(message, "id", json_object_get(reply->id));
        const char *text = json_object_to_json_string_ext(message, 0);
        evbuffer_add_printf(bufferevent_get_output(conn->stream), "%zu:%s,",
                            strlen(text), text);
        json_object_put(message);
    }
    forget(conn);
    json_object_put(reply->id);
    json_object_put(reply->result);
    free(reply);
}

/* False: no request that this server knows. */
static bool run(struct conn *conn, const char *text, int len)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *message = json_tokener_parse_ex(tokener, text, len);
    struct json_object *id, *params, *number = NULL;
    struct reply *reply = NULL;

    if (json_object_object_get_ex(message, "id", &id)) {
        if (json_object_object_get_ex(message, "params", &params))
            number = json_object_array_get_idx(params, 0);
        if (number) {
            uint64_t n = json_object_get_uint64(number);

            if (n < calls)
                atomic_fetch_add(&ledger->runs[n], 1);
            atomic_fetch_add(&life->calls, 1);
        }
        reply = malloc(sizeof *reply);
    }
    if (reply) {
        *reply =
            (struct reply){conn, json_object_get(id), json_object_get(number)};
        conn->pending++;
        event_base_once(base, -1, EV_TIMEOUT, send_reply, reply, delay);
    }
    json_object_put(message);
    json_tokener_free(tokener);
    return reply != NULL;
}

static void read_frames(struct bufferevent *stream, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(stream);

    for (;;) {
        struct evbuffer_ptr colon = evbuffer_search(input, ":", 1, NULL);
        char digits[16] = "";

        if (colon.pos < 0)
            return;
        evbuffer_copyout(input, digits, sizeof digits - 1);
        size_t head = (size_t)colon.pos + 1, len = strtoul(digits, NULL, 10);
        if (evbuffer_get_length(input) < head + len + 1)
            return;
        const char *frame =
            (char *)evbuffer_pullup(input, (ssize_t)(head + len));
        if (!run(arg, frame + head, (int)len)) {
            close_conn(arg);
            return;
        }
        evbuffer_drain(input, head + len + 1);
    }
}

static void end_of_stream(struct bufferevent *stream, short what, void *arg)
{
    (void)stream;
    (void)what;
    close_conn(arg);
}

static void accept_one(struct evconnlistener *listener, evutil_socket_t fd,
                       struct sockaddr *address, int len, void *arg)
{
    struct conn *conn = calloc(1, sizeof *conn);
    int on = 1;

    (void)listener;
    (void)address;
    (void)len;
    (void)arg;
    if (!conn)
        err(1, NULL);
    atomic_fetch_add(&life->connects, 1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(conn->stream, read_frames, NULL, end_of_stream, conn);
    bufferevent_enable(conn->stream, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    if (argc != 7)
        errx(2, "usage: witness LEDGER CALLS LIFE HOST PORT DELAY_MS");
    calls = strtoull(argv[2], NULL, 10);
    map_ledger(argv[1]);
    life = &ledger->lives[strtoul(argv[3], NULL, 10) % LIVES];
    base = event_base_new();
    struct timeval pause = {.tv_usec = atoi(argv[6]) * 1000};
    delay = event_base_init_common_timeout(base, &pause);

    address.sin_port = htons((uint16_t)atoi(argv[5]));
    if (inet_pton(AF_INET, argv[4], &address.sin_addr) != 1)
        errx(2, "%s: not an IPv4 address", argv[4]);
    if (!evconnlistener_new_bind(
            base, accept_one, NULL,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC,
            4096, (struct sockaddr *)&address, sizeof address))
        err(1, "%s:%s", argv[4], argv[5]);
    puts("ready");
    fflush(stdout);
    event_base_dispatch(base);
    return 0;
}
