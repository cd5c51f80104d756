/* The benchmark's server: JSON-RPC 2.0 in netstrings over TCP, one thread.
 *
 * It must never be the limit: one read, one pass over the bytes and one write
 * a turn, canned results, no allocation once the buffers have grown.
 *
 *   server [--ports N]     listens on N free ports of 127.0.0.1, prints them on
 *                          one line and serves until stdin is closed
 *   server --unix PATH     listens at a Unix socket instead
 *   server --tls PEM       speaks TLS, with the certificate and key in PEM
 *   server --dump METHOD   prints the result of METHOD and ends
 *
 * Methods: get_user, echo (the params), count (notifications seen so far),
 * blob<size>[k|m] (a JSON document of exactly that size) and hold, which is
 * never answered.  Anything else is answered with an error. */
#define _GNU_SOURCE
#include "documents.h"
#include "scan.h"
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CHUNK = 256 * 1024,           /* what one read may take */
    MAX_HEADER = 10,              /* digits of a netstring's length */
    MAX_UNSENT = 64 * 1024 * 1024 /* stop reading until this is written */
};

struct buffer {
    char *data;
    size_t start, len, size; /* the bytes in use are data[start..len) */
};

struct conn {
    struct stream stream;
    uint32_t events;
    struct buffer in, out;
};

static char chunk[CHUNK];
static uint64_t notifications;
static int epoll_fd;
static const char not_found[] = "{\"code\":-32601,\"message\":\"Method not "
                                "found\"}";

static char *reserve(struct buffer *buffer, size_t more)
{
    if (buffer->start == buffer->len)
        buffer->start = buffer->len = 0;
    if (buffer->len + more > buffer->size) {
        size_t size = buffer->size ? buffer->size : 4096;
        while (size < buffer->len + more)
            size *= 2;
        buffer->data = realloc(buffer->data, size);
        if (!buffer->data)
            die("realloc");
        buffer->size = size;
    }
    return buffer->data + buffer->len;
}

static size_t put_number(char *to, size_t number)
{
    char digits[20];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < n; i++)
        to[i] = digits[n - 1 - i];
    return n;
}

static void reply(struct buffer *out, struct span id, const char *member,
                  struct span value)
{
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
    size_t member_len = strlen(member);
    size_t size = sizeof head - 1 + id.len + member_len + value.len + 1;
    char *to = reserve(out, MAX_HEADER + 2 + size);
    char *p = to + put_number(to, size);

    *p++ = ':';
    memcpy(p, head, sizeof head - 1);
    p += sizeof head - 1;
    memcpy(p, id.at, id.len);
    p += id.len;
    memcpy(p, member, member_len);
    p += member_len;
    memcpy(p, value.at, value.len);
    p += value.len;
    *p++ = '}';
    *p++ = ',';
    out->len += (size_t)(p - to);
}

static bool is(struct span name, const char *text)
{
    return name.len == strlen(text) && memcmp(name.at, text, name.len) == 0;
}

static void answer(struct buffer *out, const char *message, size_t len)
{
    struct request request;
    struct span value;
    char number[20];

    if (!scan_request(message, len, &request)) {
        value = span("{\"code\":-32700,\"message\":\"Parse error\"}");
        reply(out, span("null"), ",\"error\":", value);
        return;
    }
    if (!request.id.at) {
        notifications++;
        return;
    }
    if (is(request.method, "get_user")) {
        value = span(GET_USER);
    } else if (is(request.method, "echo")) {
        value = request.params.at ? request.params : span("null");
    } else if (is(request.method, "count")) {
        value.at = number;
        value.len = put_number(number, notifications);
    } else if (is(request.method, "hold")) {
        return;
    } else {
        value = document(request.method);
        if (!value.at) {
            reply(out, request.id, ",\"error\":", span(not_found));
            return;
        }
    }
    reply(out, request.id, ",\"result\":", value);
}

/* Answer all whole frames; returns how many bytes they took, or -1 when the
 * stream is not made of netstrings.  *want is what the next frame needs. */
static ssize_t answer_frames(struct buffer *out, const char *data, size_t len,
                             size_t *want)
{
    size_t at = 0;

    for (;;) {
        size_t size = 0, i = at;

        *want = 0;
        while (i < len && data[i] >= '0' && data[i] <= '9') {
            if (i - at >= MAX_HEADER)
                return -1;
            size = size * 10 + (size_t)(data[i++] - '0');
        }
        if (i == len)
            return (ssize_t)at;
        if (i == at || data[i] != ':')
            return -1;
        i++;
        if (len - i < size + 1) {
            *want = i - at + size + 1;
            return (ssize_t)at;
        }
        if (data[i + size] != ',')
            return -1;
        answer(out, data + i, size);
        at = i + size + 1;
    }
}

static void watch(struct conn *conn, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (events != conn->events &&
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) < 0)
        die("epoll_ctl");
    conn->events = events;
}

static void close_conn(struct conn *conn)
{
    stop_tls(&conn->stream);
    close(conn->stream.fd);
    free(conn->in.data);
    free(conn->out.data);
    free(conn);
}

static bool flush(struct conn *conn)
{
    struct buffer *out = &conn->out;

    while (out->start < out->len) {
        ssize_t n =
            give(&conn->stream, out->data + out->start, out->len - out->start);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        out->start += (size_t)n;
    }
    size_t unsent = out->len - out->start;
    watch(conn, (unsent < MAX_UNSENT ? EPOLLIN : 0) | (unsent ? EPOLLOUT : 0));
    return true;
}

/* Small remainders go to the front of the common chunk, so that connections
 * need no buffers of their own; only a frame bigger than that gets one. */
static bool receive(struct conn *conn)
{
    struct buffer *in = &conn->in;
    size_t kept = in->len - in->start, want;
    bool small = kept < CHUNK / 2;
    char *data = small ? chunk : in->data + in->start;

    if (small)
        memcpy(chunk, in->data + in->start, kept);
    else
        data = reserve(in, CHUNK) - kept;
    ssize_t n = take(&conn->stream, data + kept,
                     small ? CHUNK - kept : in->size - in->len);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;

    size_t len = kept + (size_t)n;
    ssize_t used = answer_frames(&conn->out, data, len, &want);
    if (used < 0)
        return false;
    if (small) {
        in->start = in->len = 0;
        memcpy(reserve(in, want > CHUNK / 2 ? want : len - (size_t)used),
               data + used, len - (size_t)used);
        in->len = len - (size_t)used;
    } else {
        in->len += (size_t)n;
        in->start += (size_t)used;
        if (want > in->size - in->start) {
            memmove(in->data, in->data + in->start, in->len - in->start);
            in->len -= in->start;
            in->start = 0;
            reserve(in, want - in->len);
        }
    }
    return flush(conn);
}

static void accept_all(int listener)
{
    int fd, on = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!conn || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            die("accept");
        reserve(&conn->in, 1);
        conn->stream.fd = fd;
        conn->events = EPOLLIN;
        start_tls(&conn->stream);
    }
}

/* A listener is told from a connection by an odd pointer with its descriptor
 * in the other bits. */
static void listen_on_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN};

    event.data.u64 = (uint64_t)fd << 1 | 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("listen");
    printf("%d ", ntohs(address.sin_port));
}

static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    event.data.u64 = (uint64_t)fd << 1 | 1;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 4096) < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die(path);
    printf("0 ");
}

static void serve(void)
{
    struct epoll_event events[256];

    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, -1);

        for (int i = 0; i < n; i++) {
            struct conn *conn = events[i].data.ptr;
            bool ok = true;

            if (!conn)
                return; /* stdin is closed */
            if (events[i].data.u64 & 1) {
                accept_all((int)(events[i].data.u64 >> 1));
                continue;
            }
            if (events[i].events & EPOLLOUT)
                ok = flush(conn);
            if (ok && events[i].events & ~(uint32_t)EPOLLOUT)
                do
                    ok = receive(conn);
                while (ok && has_more(&conn->stream));
            if (!ok)
                close_conn(conn);
        }
    }
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    struct rlimit files;
    const char *path = NULL;
    int ports = 1;

    if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
        struct span value = document(span(argv[2]));

        if (is(span(argv[2]), "get_user"))
            value = span(GET_USER);
        return fwrite(value.at, 1, value.len, stdout) == value.len ? 0 : 1;
    }
    if (argc == 3 && strcmp(argv[1], "--ports") == 0)
        ports = atoi(argv[2]);
    if (argc == 3 && strcmp(argv[1], "--tls") == 0)
        use_tls(argv[2]);
    if (argc == 3 && strcmp(argv[1], "--unix") == 0)
        path = argv[2];
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    epoll_fd = epoll_create1(0);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        die("stdin must be a pipe");
    document(span("blob64k"));
    document(span("blob1m"));
    if (path)
        listen_at(path);
    for (int i = 0; i < ports && !path; i++)
        listen_on_free_port();
    putchar('\n');
    fflush(stdout);
    serve();
    return 0;
}
