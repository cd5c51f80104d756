/* Records of TLS: how calls are packed into them, what becomes of one that has
 * begun to leave, what a peer may do with them, and how a connection ends. */

#include "check.h"
#include "tls_rig.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

TLS_RIG_DEFINES_SEND

enum { FULL = 16384, MANY = 1000 };

static int32_t reason(void)
{
    return tls_rig.rig.servers.list[0].reason;
}

static uint64_t sends(void)
{
    return tls_rig.rig.engine.conns[0].sends;
}

static bool has_lost(void)
{
    return tls_rig.rig.engine.conns[0].losses > 0;
}

static void open_up(int version)
{
    tls_rig_open(NULL, tls_end_context(&tls_good, version));
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
    for (int i = 0; i < 5; i++)
        tls_rig_turn(); /* tickets */
    tls_rig.end.records = 0;
}

static void turn_some(void)
{
    for (int i = 0; i < 10; i++)
        tls_rig_turn();
}

static void submit(uint64_t from, uint64_t to)
{
    while (from < to)
        rig_prepare(&tls_rig.rig, from++, 0, 60000, &tls_rig.rig.pending);
    jrc_engine_submit(&tls_rig.rig.engine, &tls_rig.rig.pending,
                      tls_rig.rig.now_us);
}

/* ---- packing ---- */

static void test_calls_share_records(int version)
{
    static const struct {
        uint64_t calls;
        unsigned records;
    } cases[] = {
        {1, 1},
        {FULL / TLS_RIG_FRAME, 1},
        {FULL / TLS_RIG_FRAME + 1, 2}, /* one call in two records */
        {2 * FULL / TLS_RIG_FRAME, 2},
        {MANY, 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_up(version);
        submit(0, cases[i].calls);
        turn_some();
        CHECK(tls_rig_frames() == cases[i].calls);
        CHECK(sends() == cases[i].calls);
        CHECK(tls_rig.end.records == cases[i].records);
        tls_rig_close();
    }
}

/* A call whose last byte is in the second record is committed with that one. */
static void test_a_call_in_two_records_counts_with_the_second(void)
{
    const uint64_t whole = FULL / TLS_RIG_FRAME;

    open_up(0);
    tls_rig.quota = FULL + 64; /* the first record is a bit more than FULL */
    submit(0, whole + 2);
    turn_some();
    CHECK(tls_rig_frames() == whole && sends() == whole);
    CHECK(tls_rig.rig.engine.conns[0].out.written == FULL % TLS_RIG_FRAME);
    tls_rig.quota = SIZE_MAX;
    turn_some();
    CHECK(tls_rig_frames() == whole + 2 && sends() == whole + 2);
    tls_rig_close();
}

/* At most one record is made ahead of the socket. */
static void test_one_record_is_ahead(void)
{
    uint64_t ids[MANY];

    open_up(0);
    tls_rig.quota = 10;
    for (uint64_t i = 0; i < MANY; i++)
        ids[i] = rig_prepare(&tls_rig.rig, i, 0, 60000, &tls_rig.rig.pending);
    jrc_engine_submit(&tls_rig.rig.engine, &tls_rig.rig.pending,
                      tls_rig.rig.now_us);
    turn_some();
    CHECK(tls_rig.rig.engine.conns[0].out.ahead == FULL);
    for (uint64_t i = 0; i < MANY; i++)
        jrc_engine_cancel(&tls_rig.rig.engine, ids[i], tls_rig.rig.now_us);
    for (uint64_t i = 0; i < MANY; i++)
        CHECK(rig_is(&tls_rig.rig, i, JSONRPCC_ECANCELLED,
                     i * TLS_RIG_FRAME < FULL ? JSONRPCC_UNKNOWN
                                              : JSONRPCC_NOT_SENT));
    tls_rig.quota = SIZE_MAX;
    turn_some();
    CHECK(tls_rig_frames() == FULL / TLS_RIG_FRAME + 1);
    tls_rig_close();
}

/* ---- ends ---- */

/* We end a connection on which a record has begun: its calls are reported as
 * not sent, so the record must not be completed now. */
static void test_a_record_that_has_begun_is_not_completed_at_the_end(void)
{
    open_up(0);
    tls_rig.quota = 10;
    rig_call(&tls_rig.rig, 1, 0, 60000);
    turn_some();
    tls_rig.quota = SIZE_MAX;
    tls_rig.rig.engine.conns[0].blocked = true;
    tls_end_write(&tls_rig.end, "no frame", 8);
    tls_end_pump(&tls_rig.end);
    jrc_engine_received(&tls_rig.rig.engine, 0, 0, tls_rig.rig.now_us);
    jrc_engine_want(&tls_rig.rig.engine, 0, JRC_SHUT);
    jrc_engine_lost(&tls_rig.rig.engine, 0, JSONRPCC_BAD_FRAME,
                    tls_rig.rig.now_us);
    CHECK(rig_is(&tls_rig.rig, 1, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    jrc_loop_act(tls_rig.loop, tls_rig.rig.now_us);
    tls_end_pump(&tls_rig.end);
    CHECK(tls_rig_frames() == 0);
    tls_rig_close();
}

static void test_we_say_goodbye(int version)
{
    open_up(version);
    jrc_loop_close(tls_rig.loop);
    tls_end_pump(&tls_rig.end);
    CHECK(tls_rig.end.ended && tls_rig.end.error == 0);
    tls_rig_close();
}

static void test_an_end_is_an_end(bool polite)
{
    open_up(0);
    rig_call(&tls_rig.rig, 1, 0, 60000);
    turn_some();
    CHECK(tls_rig_frames() == 1);
    tls_rig.server = (SSL_CTX_free(tls_rig.server), NULL);
    if (polite)
        SSL_shutdown(tls_rig.end.ssl);
    tls_end_pump(&tls_rig.end);
    if (!polite)
        tls_end_cut(&tls_rig.end);
    CHECK(tls_rig_await(has_lost));
    CHECK(rig_outcome(&tls_rig.rig, 1)->reason == JSONRPCC_PEER_CLOSED);
    CHECK(rig_is(&tls_rig.rig, 1, JSONRPCC_ECONNLOST, JSONRPCC_UNKNOWN));
    tls_rig_close();
}

/* A byte of a record that has changed on its way ends the connection. */
static void test_a_changed_record_is_refused(void)
{
    char *bytes;

    open_up(0);
    uint64_t id = rig_call(&tls_rig.rig, 1, 0, 60000);
    turn_some();
    tls_rig_answer(id);
    BIO_get_mem_data(SSL_get_wbio(tls_rig.end.ssl), &bytes);
    bytes[20] ^= 1;
    tls_rig.server = (SSL_CTX_free(tls_rig.server), NULL);
    CHECK(tls_rig_await(has_lost));
    CHECK(rig_outcome(&tls_rig.rig, 1)->reason ==
          JSONRPCC_TLS_ERROR - SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
    tls_rig_close();
}

/* ---- what a peer may do ---- */

static void extra(bool tickets)
{
    ERR_clear_error();
    if (tickets)
        CHECK(SSL_new_session_ticket(tls_rig.end.ssl) == 1);
    else
        CHECK(SSL_key_update(tls_rig.end.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(SSL_do_handshake(tls_rig.end.ssl) == 1);
}

static void test_key_updates_and_tickets_are_taken(bool tickets)
{
    open_up(0);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t id = rig_call(&tls_rig.rig, i, 0, 60000);
        turn_some();
        extra(tickets);
        tls_rig_answer(id);
        CHECK(tls_rig_await_outcome(i));
        CHECK(rig_is(&tls_rig.rig, i, JSONRPCC_OK, JSONRPCC_ANSWERED));
    }
    CHECK(!has_lost());
    tls_rig_close();
}

static void test_floods_end_the_connection(bool tickets)
{
    unsigned extras = 0;

    open_up(0);
    while (!has_lost() && extras < 2000) {
        extra(tickets);
        extras++;
        tls_end_pump(&tls_rig.end);
        tls_rig_turn();
    }
    if (!CHECK(has_lost() && extras >= 60 && extras < 2000))
        printf("  %u extras, reason %d\n", extras, reason());
    CHECK(reason() == JSONRPCC_TLS_ERROR - SSL_R_TOO_MANY_KEY_UPDATES);
    tls_rig_close();
}

static bool has_heard_no(void)
{
    return tls_rig.end.error != 0;
}

/* How many turns it takes depends on the machine.  OpenSSL's servers do not go
 * on without what they have asked for. */
static void test_renegotiation_is_refused(void)
{
    open_up(TLS1_2_VERSION);
    ERR_clear_error();
    SSL_clear_options(tls_rig.end.ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK(SSL_renegotiate(tls_rig.end.ssl) == 1);
    SSL_do_handshake(tls_rig.end.ssl);
    CHECK(tls_rig_await(has_heard_no) && tls_rig.end.greetings == 1);
    CHECK(tls_rig.end.error == SSL_R_NO_RENEGOTIATION);
    tls_rig_close();
}

/* Responses of many records arrive in pieces, and none is left behind. */
static void test_large_responses_arrive(void)
{
    char *frame = malloc(60200);
    char start[100];

    open_up(0);
    tls_rig.waits = true; /* a look without an event would find it all */
    uint64_t id = rig_call(&tls_rig.rig, 1, 0, 60000);
    turn_some();
    int n = snprintf(start, sizeof start,
                     "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":\"",
                     (unsigned long long)id);
    int head = snprintf(frame, 200, "%d:%s", n + 60002, start);
    memset(frame + head, 'x', 60000);
    memcpy(frame + head + 60000, "\"},", 3);
    size_t len = (size_t)head + 60003, at = 0;
    while (at < len) {
        size_t some = len - at < 5000 ? len - at : 5000;
        tls_end_write(&tls_rig.end, frame + at, some);
        at += some;
    }
    CHECK(tls_rig_await_outcome(1));
    CHECK(rig_outcome(&tls_rig.rig, 1)->json_len == 60002);
    tls_rig_close();
    free(frame);
}

int main(void)
{
    tls_rig_begin();
    test_calls_share_records(0);
    test_calls_share_records(TLS1_2_VERSION);
    test_a_call_in_two_records_counts_with_the_second();
    test_one_record_is_ahead();
    test_a_record_that_has_begun_is_not_completed_at_the_end();
    test_we_say_goodbye(0);
    test_we_say_goodbye(TLS1_2_VERSION);
    test_an_end_is_an_end(true);
    test_an_end_is_an_end(false);
    test_a_changed_record_is_refused();
    test_key_updates_and_tickets_are_taken(false);
    test_key_updates_and_tickets_are_taken(true);
    test_floods_end_the_connection(false);
    test_floods_end_the_connection(true);
    test_renegotiation_is_refused();
    test_large_responses_arrive();
    tls_rig_end();
    return check_done();
}
