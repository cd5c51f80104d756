#define _GNU_SOURCE /* accept4() */
#include "tls_rig.h"

#include "check.h"
#include "io/clock.h"
#include "io/socket.h"
#include "listener.h"
#include "wire/netstring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_US = 1000000 };

struct tls_rig tls_rig;
struct identity tls_ca, tls_good;

void tls_rig_begin(void)
{
    tls_ca = certificate_make(
        &(struct certificate){.name = "ca", .is_ca = true}, NULL);
    tls_good = certificate_make(
        &(struct certificate){.name = "good",
                              .hosts = "IP:127.0.0.1,DNS:localhost"},
        &tls_ca);
}

void tls_rig_end(void)
{
    identity_free(&tls_ca);
    identity_free(&tls_good);
    certificates_remove();
}

void tls_rig_open(const jsonrpcc_tls *options, SSL_CTX *server)
{
    const jsonrpcc_tls usual = {.size = sizeof usual,
                                .ca = certificate_path("ca", "pem")};
    char servers[32], why[256];
    struct tls_rig *t = &tls_rig;

    memset(t, 0, sizeof *t);
    t->server = server;
    t->receives = t->sends = t->quota = SIZE_MAX;
    t->listener = listen_somewhere(servers, sizeof servers);
    fcntl(t->listener, F_SETFL, O_NONBLOCK);
    int error = jrc_tls_context_new(options != NULL ? options : &usual,
                                    &t->context, why, sizeof why);
    if (error != 0) {
        printf("%s\n", why);
        abort();
    }
    t->tls = jrc_tls_new(t->context);
    rig_start_down(&t->rig, servers, -1);
    t->rig.now_us = jrc_now_us();
    t->rig.engine.options.connect_timeout_ms = 10000; /* under valgrind */
    t->rig.servers.prove_us = jrc_tls_context_has_own(t->context) ? 1000000 : 0;
    t->loop = jrc_loop_new(&t->rig.engine, jrc_tls_transport(t->tls));
    if (t->tls == NULL || t->loop == NULL)
        abort();
}

static void drop_end(void)
{
    if (tls_rig.has_end)
        tls_end_stop(&tls_rig.end);
    tls_rig.has_end = false;
}

void tls_rig_close(void)
{
    struct tls_rig *t = &tls_rig;

    CHECK(rig_sound(&t->rig.engine));
    jrc_loop_free(t->loop);
    jrc_tls_free(t->tls);
    jrc_tls_context_unref(t->context);
    drop_end();
    close(t->listener);
    rig_stop(&t->rig);
    SSL_CTX_free(t->server);
}

static void accept_one(void)
{
    struct tls_rig *t = &tls_rig;
    int fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    drop_end();
    t->has_end = t->server != NULL;
    if (!t->has_end) {
        close(fd);
        return;
    }
    tls_end_start(&t->end, t->server, fd);
    t->end.may_receive = t->receives;
    t->end.may_send = t->sends;
}

void tls_rig_turn(void)
{
    struct tls_rig *t = &tls_rig;

    t->rig.now_us = jrc_now_us();
    jrc_engine_tick(&t->rig.engine, t->rig.now_us);
    jrc_loop_act(t->loop, t->rig.now_us);
    jrc_loop_poll(t->loop, t->waits ? jrc_now_us() + SECOND_US / 2000 : 0);
    accept_one();
    if (t->has_end)
        tls_end_pump(&t->end);
}

bool tls_rig_await(bool (*is)(void))
{
    uint64_t end_us = jrc_now_us() + 20 * SECOND_US;

    while (!is() && jrc_now_us() < end_us)
        tls_rig_turn();
    return is();
}

static enum jrc_server_state wanted_state;
static uint64_t wanted_number;

static bool has_state(void)
{
    return tls_rig.rig.servers.list[0].state == wanted_state;
}

bool tls_rig_await_state(enum jrc_server_state state)
{
    wanted_state = state;
    return tls_rig_await(has_state);
}

static bool has_failed(void)
{
    return tls_rig.rig.engine.conns[0].attempts_failed == wanted_number;
}

bool tls_rig_await_failures(uint64_t failures)
{
    wanted_number = failures;
    return tls_rig_await(has_failed);
}

static bool has_outcome(void)
{
    return rig_outcome(&tls_rig.rig, wanted_number) != NULL;
}

bool tls_rig_await_outcome(uint64_t token)
{
    wanted_number = token;
    return tls_rig_await(has_outcome);
}

void tls_rig_answer(uint64_t id)
{
    char payload[64], frame[100];
    int len = snprintf(payload, sizeof payload,
                       "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
                       (unsigned long long)id);
    int size = snprintf(frame, sizeof frame, "%d:%s,", len, payload);

    tls_end_write(&tls_rig.end, frame, (size_t)size);
}

size_t tls_rig_frames(void)
{
    const struct tls_end *end = &tls_rig.end;
    const char *payload;
    size_t len, at = 0, count = 0;
    ssize_t used;

    if (!tls_rig.has_end)
        return 0;
    while ((used = jrc_netstring_decode(end->text + at, end->len - at, 1 << 16,
                                        &payload, &len)) > 0) {
        at += (size_t)used;
        count++;
    }
    CHECK(at == end->len || used == 0); /* nothing broken */
    return count;
}

ssize_t tls_rig_send(int fd, const void *buf, size_t len, int flags)
{
    const struct jrc_sockets *sockets = (const void *)tls_rig.loop;

    if (sockets == NULL || sockets->list[0].stream.fd != fd)
        return sendto(fd, buf, len, flags, NULL, 0);
    if (tls_rig.quota == 0) {
        errno = EAGAIN;
        return -1;
    }
    len = len < tls_rig.quota ? len : tls_rig.quota;
    ssize_t n = sendto(fd, buf, len, flags, NULL, 0);
    if (n > 0 && tls_rig.quota != SIZE_MAX)
        tls_rig.quota -= (size_t)n;
    return n;
}
