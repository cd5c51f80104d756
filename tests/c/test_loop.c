/* The loop on real sockets: what cannot be shown with the engine alone. */

#include "check.h"
#include "io/clock.h"
#include "io/loop.h"
#include "io/socket.h"
#include "io/transport_tcp.h"
#include "listener.h"
#include "rig.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECOND_US = 1000000, MIB = 1 << 20 };

/* A loop begins with its sockets. */
static const struct jrc_sockets *sockets_of(const struct jrc_loop *loop)
{
    return (const void *)loop;
}

static struct jrc_loop *new_loop(struct rig *rig)
{
    struct jrc_loop *loop = jrc_loop_new(&rig->engine, &jrc_tcp);

    if (loop == NULL)
        abort();
    return loop;
}

/* Connect one of the rig's connections; returns the server's end. */
static int connect_loop(struct jrc_loop *loop, struct rig *rig, size_t i,
                        int listener)
{
    uint64_t end_us = jrc_now_us() + 5 * SECOND_US;

    while (rig->servers.list[i].state != JRC_SERVER_UP) {
        if (jrc_now_us() > end_us)
            abort();
        jrc_loop_act(loop, jrc_now_us());
        jrc_loop_poll(loop, jrc_now_us() + SECOND_US / 100);
    }
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        abort();
    return fd;
}

/* A loop with one server, connected; fd is the server's end. */
static struct jrc_loop *start_connected(struct rig *rig, int *listener, int *fd)
{
    char servers[32];

    *listener = listen_somewhere(servers, sizeof servers);
    rig_start_down(rig, servers, -1);
    struct jrc_loop *loop = new_loop(rig);
    *fd = connect_loop(loop, rig, 0, *listener);
    return loop;
}

/* Fill the kernel's buffers with frames that answer no call.  *begun is how
 * much of the last frame is in there already. */
static size_t fill(int fd, size_t most, size_t *begun)
{
    static const char frame[] = "2:{},";
    static char bytes[MIB];
    size_t sent = 0;
    ssize_t n;

    for (size_t i = 0; i + 5 <= sizeof bytes; i += 5)
        memcpy(bytes + i, frame, 5);
    while (sent < most &&
           (n = send(fd, bytes + *begun, sizeof bytes / 5 * 5 - *begun,
                     MSG_DONTWAIT)) > 0) {
        sent += (size_t)n;
        *begun = (*begun + (size_t)n) % 5;
    }
    return sent;
}

/* Between two polls, the leader checks whether the consumer keeps up, and
 * delivers the outcomes: so one poll, however short, must come to an end while
 * a server sends faster than we read. */
static void test_a_poll_reads_each_socket_once(uint64_t wait_us)
{
    struct rig rig;
    size_t begun = 0;
    int listener, fd;
    struct jrc_loop *loop = start_connected(&rig, &listener, &fd);

    CHECK(fill(fd, MIB, &begun) > 4 * rig.engine.shared.room);
    for (int i = 0; i < 3; i++) {
        uint64_t before = rig.engine.conns[0].bytes_received;
        jrc_loop_poll(loop, wait_us == 0 ? 0 : jrc_now_us() + wait_us);
        uint64_t read = rig.engine.conns[0].bytes_received - before;
        CHECK(read > 0);
        CHECK(read <= rig.engine.shared.room);
    }
    jrc_loop_free(loop);
    close(fd);
    close(listener);
    rig_stop(&rig);
}

/* While one socket always has something, a look at it is as good as a poll, but
 * not for the others. */
static void test_looks_at_one_socket_come_to_an_end(void)
{
    struct rig rig;
    char first[32], second[32], servers[70];
    int listeners[] = {listen_somewhere(first, sizeof first),
                       listen_somewhere(second, sizeof second)};
    size_t begun = 0;
    int polls = 0;

    snprintf(servers, sizeof servers, "%s %s", first, second);
    rig_start_down(&rig, servers, -1);
    struct jrc_loop *loop = new_loop(&rig);
    int busy = connect_loop(loop, &rig, 0, listeners[0]);
    int rare = connect_loop(loop, &rig, 1, listeners[1]);
    for (int i = 0; i < 3; i++) {
        CHECK(fill(busy, MIB, &begun) > 0);
        jrc_loop_poll(loop, 0);
    }
    CHECK(send(rare, "2:{},", 5, 0) == 5);
    while (rig.engine.conns[1].bytes_received == 0 && polls < 100) {
        uint64_t before = rig.engine.conns[0].bytes_received;
        fill(busy, MIB, &begun);
        jrc_loop_poll(loop, 0);
        polls++;
        CHECK(rig.engine.conns[0].bytes_received > before);
    }
    CHECK(polls <= 17);
    jrc_loop_free(loop);
    close(busy);
    close(rare);
    close(listeners[0]);
    close(listeners[1]);
    rig_stop(&rig);
}

/* A look instead of a poll sees the end of a connection as a poll does. */
static void test_a_look_sees_the_end_of_a_connection(void)
{
    struct rig rig;
    int listener, fd;
    struct jrc_loop *loop = start_connected(&rig, &listener, &fd);

    for (uint64_t i = 1; i <= 2; i++) {
        CHECK(send(fd, "2:{},", 5, 0) == 5);
        jrc_loop_poll(loop, jrc_now_us() + SECOND_US);
        CHECK(rig.engine.conns[0].bytes_received == 5 * i);
    }
    CHECK(sockets_of(loop)->hot != NULL); /* so the next one is a look */
    close(fd);
    jrc_loop_poll(loop, 0);
    CHECK(sockets_of(loop)->hot == NULL);
    CHECK(rig.servers.list[0].state == JRC_SERVER_DOWN);
    CHECK(rig.servers.list[0].reason == JSONRPCC_PEER_CLOSED);
    jrc_loop_free(loop);
    close(listener);
    rig_stop(&rig);
}

static uint64_t poll_us(struct jrc_loop *loop, uint64_t wait_us)
{
    uint64_t before = jrc_now_us();

    jrc_loop_poll(loop, before + wait_us);
    return jrc_now_us() - before;
}

/* One timer serves wait after wait: it is set for an earlier end, but not for
 * one that is a little later. */
static void test_a_wait_ends_when_it_should(void)
{
    enum { TENTH_US = SECOND_US / 10 };
    struct rig rig;

    rig_start_down(&rig, "127.0.0.1:1", -1);
    struct jrc_loop *loop = new_loop(&rig);
    jrc_loop_set_asleep(loop);
    jrc_loop_wake(loop);
    CHECK(poll_us(loop, 600 * (uint64_t)SECOND_US) < 10 * SECOND_US);
    uint64_t us = poll_us(loop, TENTH_US);
    CHECK(us >= TENTH_US && us < 10 * SECOND_US);
    /* It went off: the next wait sets it again. */
    us = poll_us(loop, TENTH_US);
    CHECK(us >= TENTH_US && us < 10 * SECOND_US);
    jrc_loop_set_asleep(loop);
    jrc_loop_wake(loop);
    CHECK(poll_us(loop, TENTH_US) < 10 * SECOND_US);
    CHECK(poll_us(loop, TENTH_US + TENTH_US / 2) < 10 * SECOND_US);
    CHECK(poll_us(loop, 0) < 10 * SECOND_US);
    /* The time that is already set is far too early. */
    jrc_loop_set_asleep(loop);
    jrc_loop_wake(loop);
    CHECK(poll_us(loop, TENTH_US) < 10 * SECOND_US);
    CHECK(poll_us(loop, 4 * TENTH_US) >= 4 * TENTH_US);
    jrc_loop_free(loop);
    rig_stop(&rig);
}

/* How long the kernel lets a server leave data unacknowledged, in ms. */
static int patience(const struct jrc_loop *loop)
{
    int value = -1;
    socklen_t size = sizeof value;

    getsockopt(sockets_of(loop)->list[0].stream.fd, IPPROTO_TCP,
               TCP_USER_TIMEOUT, &value, &size);
    return value;
}

/* While we do not read, a server may not read, either, since it waits for us:
 * it is not abandoned for that, even on a new connection. */
static void test_patience_while_we_do_not_read(void)
{
    static struct rig rig;
    int listener, fd;
    struct jrc_loop *loop = start_connected(&rig, &listener, &fd);

    CHECK(patience(loop) == 15000);
    jrc_loop_set_reading(loop, false);
    CHECK(patience(loop) == 0);
    jrc_loop_set_reading(loop, true);
    CHECK(patience(loop) == 15000);
    jrc_loop_free(loop);
    rig_stop(&rig);
    close(fd);

    char servers[32];
    close(listener);
    listener = listen_somewhere(servers, sizeof servers);
    rig_start_down(&rig, servers, -1);
    loop = new_loop(&rig);
    jrc_loop_set_reading(loop, false);
    fd = connect_loop(loop, &rig, 0, listener);
    CHECK(patience(loop) == 0);
    jrc_loop_set_reading(loop, true);
    CHECK(patience(loop) == 15000);
    jrc_loop_free(loop);
    rig_stop(&rig);
    close(fd);
    close(listener);
}

int main(void)
{
    test_a_wait_ends_when_it_should();
    test_a_poll_reads_each_socket_once(0);
    test_a_poll_reads_each_socket_once(SECOND_US);
    test_looks_at_one_socket_come_to_an_end();
    test_a_look_sees_the_end_of_a_connection();
    test_patience_while_we_do_not_read();
    return check_done();
}
