/* A transport that does all that TCP does not: it shakes hands, encrypts in
 * records, takes bytes ahead, and holds back what it has received.  So the
 * loop and the engine keep the contract of io/transport.h as TLS will need it.
 *
 * A record is a byte that says how long it is, and that many bytes, masked. */

#include "check.h"
#include "io/clock.h"
#include "io/loop.h"
#include "io/transport_tcp.h"
#include "listener.h"
#include "rig.h"
#include "wire/netstring.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECOND_US = 1000000, RECORD = 100, MASK = 0x55, FRAME = 44 };

/* ---- the transport ---- */

struct box {
    bool asked;               /* the peer whether it agrees */
    char out[RECORD + 1];     /* the record that is leaving */
    size_t out_len, out_sent; /* of it */
    char in[RECORD];          /* received, unmasked, and not fetched */
    size_t in_start, in_end;
};

static unsigned opened, closed;
static size_t quota; /* bytes that the kernel still takes */

static int32_t box_connect(struct jrc_stream *stream,
                           const struct jrc_endpoint *endpoint,
                           const char *host)
{
    CHECK(strcmp(host, "127.0.0.1") == 0);
    int32_t reason = jrc_tcp.connect(stream, endpoint, host);
    if (reason != 0)
        return reason;
    stream->state = calloc(1, sizeof(struct box));
    opened++;
    return stream->state == NULL ? ENOMEM : 0;
}

static int32_t box_handshake(struct jrc_stream *stream, short *want)
{
    struct box *box = stream->state;
    char answer = 0;

    if (!box->asked) {
        int32_t reason = jrc_tcp.handshake(stream, want);
        if (reason != 0)
            return reason;
        box->asked = send(stream->fd, "?", 1, MSG_NOSIGNAL) == 1;
        *want = EV_READ;
        return box->asked ? 0 : EPROTO;
    }
    if (recv(stream->fd, &answer, 1, MSG_DONTWAIT) != 1 || answer != '!')
        return EPROTO;
    *want = 0;
    return 0;
}

static ssize_t box_recv(struct jrc_stream *stream, char *buf, size_t size,
                        int32_t *reason)
{
    struct box *box = stream->state;

    if (box->in_start == box->in_end) {
        ssize_t n = jrc_tcp.recv(stream, box->in, sizeof box->in, reason);
        if (n <= 0)
            return n;
        for (ssize_t i = 0; i < n; i++)
            box->in[i] ^= MASK;
        box->in_start = 0;
        box->in_end = (size_t)n;
    }
    size_t some =
        box->in_end - box->in_start < 7 ? box->in_end - box->in_start : 7;
    some = some < size ? some : size;
    memcpy(buf, box->in + box->in_start, some);
    box->in_start += some;
    return (ssize_t)some;
}

static bool box_has_input(const struct jrc_stream *stream)
{
    const struct box *box = stream->state;

    return box->in_start < box->in_end;
}

static ssize_t box_send(struct jrc_stream *stream, const char *buf, size_t len,
                        int32_t *reason)
{
    struct box *box = stream->state;
    size_t committed = 0;

    while (quota > 0) {
        if (box->out_len == 0 && committed < len) {
            size_t take = len - committed < RECORD ? len - committed : RECORD;
            box->out[0] = (char)take;
            for (size_t i = 0; i < take; i++)
                box->out[i + 1] = (char)(buf[committed + i] ^ MASK);
            box->out_len = take + 1;
        }
        size_t left = box->out_len - box->out_sent;
        if (left == 0)
            break;
        ssize_t n = jrc_tcp.send(stream, box->out + box->out_sent,
                                 left < quota ? left : quota, reason);
        if (n < 0)
            return n;
        quota -= (size_t)n;
        box->out_sent += (size_t)n;
        if (box->out_sent == box->out_len) {
            committed += box->out_len - 1;
            box->out_len = box->out_sent = 0;
        }
    }
    return (ssize_t)committed;
}

static size_t box_begun(const struct jrc_stream *stream)
{
    const struct box *box = stream->state;

    return box->out_len == 0 ? 0 : box->out_len - 1;
}

static bool box_has_output(const struct jrc_stream *stream)
{
    return box_begun(stream) > 0;
}

static void box_set_patient(struct jrc_stream *stream, bool patient)
{
    jrc_tcp.set_patient(stream, patient);
}

static void box_close(struct jrc_stream *stream)
{
    closed++;
    free(stream->state);
    stream->state = NULL;
}

static const struct jrc_transport boxes = {
    .connect = box_connect,
    .handshake = box_handshake,
    .recv = box_recv,
    .has_input = box_has_input,
    .send = box_send,
    .begun = box_begun,
    .has_output = box_has_output,
    .set_patient = box_set_patient,
    .close = box_close,
};

/* ---- its peer, and what drives both ---- */

static struct rig rig;
static struct jrc_loop *loop;
static int listener, peer;

static char raw[4096], received[4096]; /* by the peer; of whole records */
static size_t raw_len, received_len;

static void turn(void)
{
    rig.now_us = jrc_now_us();
    jrc_engine_tick(&rig.engine, rig.now_us);
    jrc_loop_act(loop, rig.now_us);
    jrc_loop_poll(loop, jrc_now_us() + SECOND_US / 200);
}

/* Until the server has that state, for some seconds. */
static void await_state(enum jrc_server_state state)
{
    uint64_t end_us = jrc_now_us() + 5 * SECOND_US;

    while (rig.servers.list[0].state != state && jrc_now_us() < end_us)
        turn();
    CHECK(rig.servers.list[0].state == state);
}

static void start(void)
{
    char servers[32], question = 0;

    listener = listen_somewhere(servers, sizeof servers);
    opened = closed = 0;
    raw_len = received_len = 0;
    quota = SIZE_MAX;
    rig_start_down(&rig, servers, -1);
    loop = jrc_loop_new(&rig.engine, &boxes);
    if (loop == NULL)
        abort();
    turn();
    peer = accept(listener, NULL, NULL);
    while (recv(peer, &question, 1, MSG_DONTWAIT) != 1)
        turn();
    CHECK(question == '?');
    /* The kernel has a connection, but calls have none. */
    turn();
    CHECK(rig.servers.list[0].state == JRC_SERVER_CONNECTING);
}

static void start_up(void)
{
    start();
    CHECK(send(peer, "!", 1, 0) == 1);
    await_state(JRC_SERVER_UP);
}

static void stop(void)
{
    CHECK(rig_sound(&rig.engine));
    jrc_loop_free(loop);
    CHECK(opened == closed);
    if (peer >= 0)
        close(peer);
    close(listener);
    rig_stop(&rig);
}

/* Let the kernel take n bytes more, and the peer receive all it can. */
static void let_go_on(size_t n)
{
    quota = n;
    for (int i = 0; i < 3; i++)
        turn();
    ssize_t got = recv(peer, raw + raw_len, sizeof raw - raw_len, MSG_DONTWAIT);
    raw_len += got > 0 ? (size_t)got : 0;
    size_t at = 0;
    received_len = 0;
    while (at < raw_len && at + 1 + (unsigned char)raw[at] <= raw_len) {
        size_t size = (unsigned char)raw[at];
        for (size_t i = 0; i < size; i++)
            received[received_len++] = (char)(raw[at + 1 + i] ^ MASK);
        at += 1 + size;
    }
}

static void answer(uint64_t id)
{
    char frame[100];
    char payload[64];
    int len = snprintf(payload, sizeof payload,
                       "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1}",
                       (unsigned long long)id);
    int size = snprintf(frame, sizeof frame, "%d:%s,", len, payload);

    for (int i = 0; i < size; i++)
        frame[i] ^= MASK;
    CHECK(send(peer, frame, (size_t)size, 0) == size);
}

/* ---- tests ---- */

static void test_a_handshake_is_part_of_connecting(void)
{
    start_up();
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 1);
    uint64_t id = rig_call(&rig, 1, 0, 5000);
    let_go_on(SIZE_MAX);
    CHECK(received_len == FRAME);
    answer(id);
    for (int i = 0; i < 100 && rig_outcome(&rig, 1) == NULL; i++)
        turn(); /* seven bytes at a time, though the kernel has none left */
    CHECK(rig_is(&rig, 1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    stop();
}

static void test_a_handshake_that_fails_fails_the_attempt(void)
{
    start();
    CHECK(send(peer, "x", 1, 0) == 1);
    for (int i = 0; i < 1000 && rig.engine.conns[0].attempts_failed == 0; i++)
        turn();
    CHECK(rig.engine.conns[0].attempts_failed == 1);
    CHECK(rig.servers.list[0].reason == EPROTO);
    CHECK(rig_events(&rig, JSONRPCC_CONNECTED, 0) == 0);
    stop();
}

/* What was encrypted goes out, whatever becomes of its call: otherwise the peer
 * could not read on.  What a peer cannot read yet counts as not sent. */
static void test_what_has_begun_goes_out_whole(void)
{
    uint64_t ids[4];

    start_up();
    quota = 10;
    for (uint64_t token = 0; token < 4; token++)
        ids[token] = rig_call(&rig, token, 0, 5000);
    let_go_on(10); /* a record of 100 bytes: two calls and 12 bytes */
    CHECK(received_len == 0);
    CHECK(rig.engine.conns[0].sends == 0);
    jrc_engine_cancel(&rig.engine, ids[1], rig.now_us);
    jrc_engine_cancel(&rig.engine, ids[2], rig.now_us);
    jrc_engine_cancel(&rig.engine, ids[3], rig.now_us);
    CHECK(rig_is(&rig, 1, JSONRPCC_ECANCELLED, JSONRPCC_UNKNOWN));
    CHECK(rig_is(&rig, 2, JSONRPCC_ECANCELLED, JSONRPCC_UNKNOWN));
    CHECK(rig_is(&rig, 3, JSONRPCC_ECANCELLED, JSONRPCC_NOT_SENT));
    let_go_on(90);
    CHECK(received_len == 0 && rig.engine.conns[0].sends == 0);
    let_go_on(SIZE_MAX);
    CHECK(rig.engine.conns[0].sends == 3 && received_len == 3 * FRAME);
    for (size_t at = 0; at < received_len; at += FRAME) {
        const char *payload;
        size_t len;
        CHECK(jrc_netstring_decode(received + at, received_len - at, 1000,
                                   &payload, &len) == FRAME);
    }
    answer(ids[0]);
    for (int i = 0; i < 100 && rig_outcome(&rig, 0) == NULL; i++)
        turn();
    CHECK(rig_is(&rig, 0, JSONRPCC_OK, JSONRPCC_ANSWERED));
    stop();
}

/* What had begun and never arrived may go elsewhere, or is not sent. */
static void test_a_record_cut_off_was_not_sent(void)
{
    start_up();
    quota = 10;
    rig_call(&rig, 1, 0, 5000);
    rig_call(&rig, 2, 0, 5000);
    let_go_on(10);
    close(peer);
    peer = -1;
    for (int i = 0; i < 1000 && rig.engine.conns[0].losses == 0; i++)
        turn();
    CHECK(rig_is(&rig, 1, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    CHECK(rig_is(&rig, 2, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    stop();
}

int main(void)
{
    test_a_handshake_is_part_of_connecting();
    test_a_handshake_that_fails_fails_the_attempt();
    test_what_has_begun_goes_out_whole();
    test_a_record_cut_off_was_not_sent();
    return check_done();
}
