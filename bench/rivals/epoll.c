/* The wire's limit: an epoll loop that writes frames and finds ids, no more.
 *
 * It parses nothing and copies nothing: what it costs is the kernel's work and
 * that of putting the bytes together.  No real client can be as cheap.
 *
 * Further ports, from the environment's PORTS on, get a connection each and an
 * equal part of the calls in flight. */
#define _GNU_SOURCE
#include "measure.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, SLOTS = 65536 };

struct call {
    long id; /* 0: the slot is free */
    double begun;
};

struct conn {
    int fd;
    char *out, *in; /* CHUNK * 4, and CHUNK bytes */
    size_t out_len, in_len;
};

enum { CONNS = 4096 };

static struct conn conns[CONNS];
static int conn_count;
static long next_id = 1;
static struct call calls[SLOTS];

static char *put_number(char *to, long number)
{
    char digits[20];
    int n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

static void submit(struct conn *conn)
{
    static const char head[] =
        "{\"jsonrpc\":\"2.0\",\"method\":\"get_user\",\"id\":";
    static const char tail[] = ",\"params\":{\"id\":1234}},";
    char digits[20];
    struct call *call = &calls[next_id % SLOTS];
    size_t id_len = (size_t)(put_number(digits, next_id) - digits);
    char *p = put_number(conn->out + conn->out_len,
                         (long)(sizeof head - 1 + id_len + sizeof tail - 2));

    *p++ = ':';
    memcpy(p, head, sizeof head - 1);
    p += sizeof head - 1;
    memcpy(p, digits, id_len);
    p += id_len;
    memcpy(p, tail, sizeof tail - 1);
    conn->out_len = (size_t)(p + sizeof tail - 1 - conn->out);
    call->id = next_id;
    if (next_id++ % TIMED == 0)
        call->begun = now(CLOCK_MONOTONIC);
}

static void complete(const char *message, const char *end)
{
    const char *at = memmem(message, (size_t)(end - message), "\"id\":", 5);
    long id = at ? strtol(at + 5, NULL, 10) : 0;
    struct call *call = &calls[id % SLOTS];

    if (id == 0 || call->id != id)
        wrong("id");
    call->id = 0;
    if (id % TIMED == 0)
        job_latency(call->begun);
}

static void send_all(struct conn *conn)
{
    size_t sent = 0;

    while (sent < conn->out_len) {
        ssize_t n = send(conn->fd, conn->out + sent, conn->out_len - sent, 0);
        if (n <= 0)
            wrong("send");
        sent += (size_t)n;
    }
    conn->out_len = 0;
}

/* Complete what is whole; returns how many calls that were. */
static long read_replies(struct conn *conn)
{
    long count = 0;
    size_t at = 0;
    char *in = conn->in;
    ssize_t n = recv(conn->fd, in + conn->in_len, CHUNK - conn->in_len, 0);

    if (n <= 0)
        wrong("recv");
    conn->in_len += (size_t)n;
    for (;;) {
        char *colon = memchr(in + at, ':', conn->in_len - at);
        if (!colon)
            break;
        char *end = colon + 1 + strtol(in + at, NULL, 10);
        if (end >= in + conn->in_len)
            break;
        if (*end != ',')
            wrong("frame");
        complete(colon + 1, end);
        at = (size_t)(end + 1 - in);
        count++;
    }
    memmove(in, in + at, conn->in_len - at);
    conn->in_len -= at;
    return count;
}

static void run(int epoll_fd, long count)
{
    long submitted = 0, completed = 0;
    struct epoll_event events[64];

    for (; submitted < job.window && submitted < count; submitted++)
        submit(&conns[submitted % conn_count]);
    for (int i = 0; i < conn_count; i++)
        send_all(&conns[i]);
    while (completed < count) {
        int ready = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            struct conn *conn = events[i].data.ptr;
            long n = read_replies(conn);
            completed += n;
            for (; n > 0 && submitted < count; n--, submitted++)
                submit(conn);
            send_all(conn);
        }
    }
}

static void open_conn(int epoll_fd, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct conn *conn = &conns[conn_count++];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int on = 1;

    conn->fd = socket(AF_INET, SOCK_STREAM, 0);
    conn->out = malloc(CHUNK * 4);
    conn->in = malloc(CHUNK);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    if (!conn->out || !conn->in ||
        connect(conn->fd, (struct sockaddr *)&address, sizeof address) < 0)
        wrong("connect");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
}

int main(int argc, char **argv)
{
    int epoll_fd = epoll_create1(0);
    const char *more = getenv("PORTS");
    char *next;

    job_parse(argc, argv);
    open_conn(epoll_fd, job.port);
    for (; more && *more && conn_count < CONNS; more = next)
        open_conn(epoll_fd, (int)strtol(more, &next, 10));
    run(epoll_fd, job.warmup);
    job_start();
    run(epoll_fd, job.calls);
    job_stop();
    job_report();
    return 0;
}
