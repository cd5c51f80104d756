#define _GNU_SOURCE /* memmem(), accept4() */

#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void append(struct peer_link *link, const char *bytes, size_t len)
{
    if (link->out_len + len > link->out_room) {
        link->out_room = (link->out_len + len) * 2;
        link->out = realloc(link->out, link->out_room);
        if (link->out == NULL)
            abort();
    }
    memcpy(link->out + link->out_len, bytes, len);
    link->out_len += len;
}

/* ---- what it says -------------------------------------------------------- */

/* The member that answers method; returns its length in text[0..]. */
static size_t member_of(const char *method, uint64_t number, char *text)
{
    unsigned long long n = number;

    if (strcmp(method, "refuse") == 0)
        return (size_t)sprintf(
            text,
            "\"error\":{\"code\":-32000,\"message\":\"no\",\"data\":%llu}", n);
    if (strcmp(method, "big") != 0)
        return (size_t)sprintf(text, "\"result\":[%llu]", n);
    size_t len = (size_t)sprintf(text, "\"result\":[%llu,\"", n);
    memset(text + len, 'x', PEER_BIG);
    memcpy(text + len + PEER_BIG, "\"]", 2);
    return len + PEER_BIG + 2;
}

bool peer_says(const char *method, uint64_t number, const char *json,
               size_t len)
{
    static __thread char text[PEER_BIG + 100];
    size_t want = member_of(method, number, text);
    size_t name = (size_t)(strchr(text, ':') + 1 - text);

    return json != NULL && len == want - name &&
           memcmp(json, text + name, len) == 0;
}

static void reply(struct peer_link *link, uint64_t id, const char *method,
                  uint64_t number)
{
    static __thread char member[PEER_BIG + 100];
    char head[100], frame[32];
    size_t len = member_of(method, number, member);
    size_t head_len = (size_t)sprintf(head, "{\"jsonrpc\":\"2.0\",\"id\":%llu,",
                                      (unsigned long long)id);

    append(link, frame, (size_t)sprintf(frame, "%zu:", head_len + len + 1));
    append(link, head, head_len);
    append(link, member, len);
    append(link, "},", 2);
}

/* ---- what it reads ------------------------------------------------------- */

static uint64_t number_after(const char *text, size_t len, const char *mark)
{
    const char *at = memmem(text, len, mark, strlen(mark));

    return at == NULL ? 0 : strtoull(at + strlen(mark), NULL, 10);
}

/* One request.  False: the connection is to be closed. */
static bool serve(struct peer *peer, struct peer_link *link, const char *text,
                  size_t len)
{
    static const char mark[] = "\"method\":\"";
    const char *method = memmem(text, len, mark, sizeof mark - 1);
    uint64_t number = number_after(text, len, "\"params\":[");
    uint64_t id = number_after(text, len, "\"id\":");
    char name[16] = "";

    if (method == NULL || number >= PEER_NUMBERS)
        abort(); /* not a request of ours */
    sscanf(method + sizeof mark - 1, "%15[a-z]", name);
    unsigned before = atomic_fetch_add(&peer->seen[number], 1);
    atomic_fetch_add(&peer->frames, 1);
    if (strcmp(name, "drop") == 0 || (strcmp(name, "once") == 0 && before == 0))
        return false;
    if (id != 0 && strcmp(name, "mute") != 0)
        reply(link, id, name, number);
    return true;
}

/* All whole frames of the input. */
static bool serve_all(struct peer *peer, struct peer_link *link)
{
    size_t at = 0;

    for (;;) {
        char *colon = memchr(link->in + at, ':', link->in_len - at);
        if (colon == NULL)
            break;
        size_t len = strtoull(link->in + at, NULL, 10);
        char *text = colon + 1;
        if ((size_t)(link->in + link->in_len - text) < len + 1)
            break;
        if (text[len] != ',')
            abort();
        if (!serve(peer, link, text, len))
            return false;
        at = (size_t)(text + len + 1 - link->in);
    }
    link->in_len -= at;
    memmove(link->in, link->in + at, link->in_len);
    return true;
}

static bool on_readable(struct peer *peer, struct peer_link *link)
{
    if (link->in_room - link->in_len < 65536) {
        link->in_room = link->in_len + 131072;
        link->in = realloc(link->in, link->in_room + 1);
        if (link->in == NULL)
            abort();
    }
    ssize_t n = recv(link->fd, link->in + link->in_len,
                     link->in_room - link->in_len, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    link->in_len += (size_t)n;
    link->in[link->in_len] = '\0'; /* for strtoull() */
    return serve_all(peer, link);
}

static bool on_writable(struct peer_link *link)
{
    ssize_t n =
        send(link->fd, link->out, link->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN;
    link->out_len -= (size_t)n;
    memmove(link->out, link->out + n, link->out_len);
    return true;
}

/* ---- life ---------------------------------------------------------------- */

static void end_link(struct peer *peer, struct peer_link *link)
{
    if (link->fd < 0)
        return;
    close(link->fd);
    free(link->in);
    free(link->out);
    *link = (struct peer_link){.fd = -1};
    atomic_fetch_sub(&peer->open, 1);
}

static void welcome(struct peer *peer)
{
    int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int on = 1;

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = 0; i < PEER_LINKS; i++)
        if (peer->links[i].fd < 0) {
            peer->links[i].fd = fd;
            atomic_fetch_add(&peer->open, 1);
            return;
        }
    close(fd);
}

static void *run(void *arg)
{
    struct peer *peer = arg;
    struct pollfd fds[PEER_LINKS + 2];

    if (peer->exempt != NULL)
        peer->exempt(true);
    sem_post(&peer->running);
    for (;;) {
        for (int i = 0; i < PEER_LINKS; i++) {
            struct peer_link *link = &peer->links[i];
            if (link->fd >= 0 && link->out_len > 0 && !on_writable(link))
                end_link(peer, link);
            fds[i].fd = link->fd;
            fds[i].events = (short)(POLLIN | (link->out_len > 0 ? POLLOUT : 0));
        }
        fds[PEER_LINKS] = (struct pollfd){peer->listener, POLLIN, 0};
        fds[PEER_LINKS + 1] = (struct pollfd){peer->stop_fd, POLLIN, 0};
        if (poll(fds, PEER_LINKS + 2, -1) < 0)
            continue;
        if (fds[PEER_LINKS + 1].revents != 0)
            return NULL;
        for (int i = 0; i < PEER_LINKS; i++)
            if (fds[i].fd >= 0 && (fds[i].revents & ~POLLOUT) != 0 &&
                !on_readable(peer, &peer->links[i]))
                end_link(peer, &peer->links[i]);
        if (fds[PEER_LINKS].revents != 0)
            welcome(peer);
    }
}

void peer_start(struct peer *peer, void (*exempt)(bool))
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof here;
    sigset_t all, old;

    memset(peer, 0, sizeof *peer);
    peer->exempt = exempt;
    for (int i = 0; i < PEER_LINKS; i++)
        peer->links[i].fd = -1;
    peer->seen = calloc(PEER_NUMBERS, sizeof *peer->seen);
    peer->stop_fd = eventfd(0, EFD_CLOEXEC);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->seen == NULL ||
        bind(peer->listener, (struct sockaddr *)&here, sizeof here) != 0 ||
        listen(peer->listener, 128) != 0 ||
        getsockname(peer->listener, (struct sockaddr *)&here, &len) != 0)
        abort();
    peer->port = ntohs(here.sin_port);
    sem_init(&peer->running, 0, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&peer->thread, NULL, run, peer) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    while (sem_wait(&peer->running) != 0)
        continue;
}

void peer_stop(struct peer *peer)
{
    (void)!write(peer->stop_fd, &(uint64_t){1}, 8);
    pthread_join(peer->thread, NULL);
    for (int i = 0; i < PEER_LINKS; i++)
        end_link(peer, &peer->links[i]);
    sem_destroy(&peer->running);
    close(peer->listener);
    close(peer->stop_fd);
    free(peer->seen);
}

unsigned peer_saw(const struct peer *peer, uint64_t number)
{
    return atomic_load(&peer->seen[number]);
}
