#define _GNU_SOURCE /* accept4() */

#include "tls_front.h"

#include "listener.h"
#include "tls_end.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void end_link(struct tls_front *front, struct tls_front_link *link)
{
    if (link->client >= 0) {
        close(link->client);
        close(link->server);
        SSL_free(link->ssl);
        front->open--;
    }
    *link = (struct tls_front_link){.client = -1, .server = -1};
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

static void welcome(struct tls_front *front)
{
    int fd = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct tls_front_link *link = front->links;

    if (fd < 0)
        return;
    while (link < front->links + TLS_FRONT_LINKS && link->client >= 0)
        link++;
    if (link == front->links + TLS_FRONT_LINKS) {
        close(fd);
        return;
    }
    link->client = fd;
    link->server = connect_to(front->to);
    link->ssl = SSL_new(front->context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (link->ssl == NULL || in == NULL || out == NULL)
        abort();
    SSL_set_bio(link->ssl, in, out);
    SSL_set_accept_state(link->ssl);
    front->open++;
}

/* Pass on what the client sent.  False: the link is over. */
static bool from_client(struct tls_front *front, struct tls_front_link *link)
{
    char some[16384];
    ssize_t n = recv(link->client, some, sizeof some, MSG_DONTWAIT);
    size_t got;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    BIO_write(SSL_get_rbio(link->ssl), some, (int)n);
    ERR_clear_error();
    while (SSL_read_ex(link->ssl, some, sizeof some, &got) == 1)
        if (send(link->server, some, got, MSG_NOSIGNAL) < 0)
            return false;
    if (!link->counted && !SSL_in_init(link->ssl)) {
        link->counted = true;
        front->established++;
        front->resumed += SSL_session_reused(link->ssl) == 1;
    }
    int error = SSL_get_error(link->ssl, 0);
    front->goodbyes += error == SSL_ERROR_ZERO_RETURN;
    front->broken += error == SSL_ERROR_SSL;
    return error == SSL_ERROR_WANT_READ;
}

static bool from_server(struct tls_front_link *link)
{
    char some[16384];
    ssize_t n = recv(link->server, some, sizeof some, MSG_DONTWAIT);
    size_t done;

    ERR_clear_error();
    if (n <= 0 && n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    return SSL_write_ex(link->ssl, some, (size_t)n, &done) == 1;
}

/* Send what TLS has for the client, as far as the socket takes it. */
static bool flush(struct tls_front_link *link)
{
    BIO *out = SSL_get_wbio(link->ssl);
    char *bytes, gone[4096];
    long len = BIO_get_mem_data(out, &bytes);
    ssize_t n = len == 0 ? 0
                         : send(link->client, bytes, (size_t)len,
                                MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN;
    while (n > 0)
        n -= BIO_read(out, gone, n < 4096 ? (int)n : 4096);
    return true;
}

static void serve(struct tls_front *front, struct tls_front_link *link,
                  short client, short server)
{
    bool good = link->client >= 0;

    if (!good)
        return;
    if ((client & (POLLIN | POLLHUP | POLLERR)) != 0)
        good = from_client(front, link);
    if (good && (server & (POLLIN | POLLHUP | POLLERR)) != 0) {
        good = from_server(link);
        if (!good)
            SSL_shutdown(link->ssl);
    }
    if (!flush(link) || !good)
        end_link(front, link);
}

static void *run(void *arg)
{
    struct tls_front *front = arg;
    struct pollfd fds[2 + 2 * TLS_FRONT_LINKS];

    if (front->exempt != NULL)
        front->exempt(true);
    for (;;) {
        fds[0] = (struct pollfd){front->stop_fd, POLLIN, 0};
        fds[1] = (struct pollfd){front->listener, POLLIN, 0};
        for (int i = 0; i < TLS_FRONT_LINKS; i++) {
            struct tls_front_link *link = &front->links[i];
            bool full =
                link->client >= 0 && BIO_pending(SSL_get_wbio(link->ssl)) > 0;
            fds[2 + 2 * i] = (struct pollfd){
                link->client, (short)(POLLIN | (full ? POLLOUT : 0)), 0};
            fds[3 + 2 * i] = (struct pollfd){
                link->client >= 0 && !SSL_in_init(link->ssl) ? link->server
                                                             : -1,
                full ? 0 : POLLIN, 0};
        }
        if (poll(fds, 2 + 2 * TLS_FRONT_LINKS, -1) < 0)
            abort();
        if (fds[0].revents != 0)
            break;
        for (int i = 0; i < TLS_FRONT_LINKS; i++)
            serve(front, &front->links[i], fds[2 + 2 * i].revents,
                  fds[3 + 2 * i].revents);
        if (fds[1].revents != 0)
            welcome(front);
    }
    for (int i = 0; i < TLS_FRONT_LINKS; i++)
        end_link(front, &front->links[i]);
    return NULL;
}

void tls_front_start(struct tls_front *front, uint16_t to,
                     const struct identity *identity, void (*exempt)(bool))
{
    char servers[32];

    memset(front, 0, sizeof *front);
    front->to = to;
    front->exempt = exempt;
    front->context = tls_end_context(identity, 0);
    front->listener = listen_somewhere(servers, sizeof servers);
    listen(front->listener, TLS_FRONT_LINKS);
    fcntl(front->listener, F_SETFL, O_NONBLOCK);
    front->port = (uint16_t)atoi(strchr(servers, ':') + 1);
    front->stop_fd = eventfd(0, EFD_CLOEXEC);
    for (int i = 0; i < TLS_FRONT_LINKS; i++)
        front->links[i] = (struct tls_front_link){.client = -1, .server = -1};
    if (front->stop_fd < 0 ||
        pthread_create(&front->thread, NULL, run, front) != 0)
        abort();
}

void tls_front_stop(struct tls_front *front)
{
    if (write(front->stop_fd, &(uint64_t){1}, 8) != 8)
        abort();
    pthread_join(front->thread, NULL);
    close(front->listener);
    close(front->stop_fd);
    SSL_CTX_free(front->context);
}
