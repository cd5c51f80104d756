/* TLS between a loop and a server in the same thread: the handshake, records,
 * what is committed, and how connections end. */

#include "check.h"
#include "io/tls_peer.h"
#include "tls_rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

TLS_RIG_DEFINES_SEND

static int32_t reason(void)
{
    return tls_rig.rig.servers.list[0].reason;
}

static uint64_t call(uint64_t token)
{
    return rig_call(&tls_rig.rig, token, 0, 20000);
}

static bool is(uint64_t token, jsonrpcc_status status, jsonrpcc_fate fate)
{
    return rig_is(&tls_rig.rig, token, status, fate);
}

static void open_with(int version)
{
    tls_rig_open(NULL, tls_end_context(&tls_good, version));
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
}

static jsonrpcc_server_tls_info info(void)
{
    jsonrpcc_server_tls_info all = {0};

    jrc_tls_describe(tls_rig.tls, 0, &all);
    return all;
}

static bool has_lost(void)
{
    return tls_rig.rig.engine.conns[0].losses > 0;
}

static bool has_one_frame(void)
{
    return tls_rig_frames() == 1;
}

/* ---- the handshake ---- */

static void test_a_call(int version, const char *name)
{
    open_with(version);
    uint64_t id = call(1);
    CHECK(tls_rig_await(has_one_frame));
    tls_rig_answer(id);
    CHECK(tls_rig_await_outcome(1) && is(1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(strcmp(info().version, name) == 0 && info().cipher != NULL);
    CHECK(info().expires_s > 0 && info().why[0] == '\0' && !info().resumed);
    tls_rig_close();
}

static void test_calls_wait_for_the_handshake(void)
{
    tls_rig_open(NULL, tls_end_context(&tls_good, 0));
    tls_rig.sends = 100; /* of the server's first words */
    call(1);
    for (int i = 0; i < 50; i++)
        tls_rig_turn();
    CHECK(tls_rig.rig.servers.list[0].state == JRC_SERVER_CONNECTING);
    CHECK(rig_events(&tls_rig.rig, JSONRPCC_CONNECTED, 0) == 0);
    tls_rig.end.may_send = SIZE_MAX;
    CHECK(tls_rig_await(has_one_frame));
    tls_rig_close();
}

/* A server that says nothing has as long as connecting may take. */
static void test_a_slow_handshake_ends(void)
{
    tls_rig_open(NULL, tls_end_context(&tls_good, 0));
    tls_rig.rig.engine.options.connect_timeout_ms = 300;
    tls_rig.sends = 5;
    CHECK(tls_rig_await_failures(1));
    CHECK(reason() == JSONRPCC_CONNECT_TIMEOUT);
    tls_rig_close();
}

static void test_a_server_without_tls_backs_off(void)
{
    tls_rig_open(NULL, tls_end_context(&tls_good, 0));
    tls_rig.receives = 0;
    while (!tls_rig.has_end)
        tls_rig_turn();
    CHECK(send(tls_rig.end.fd, "HTTP/1.0 400 Bad Request\r\n", 26, 0) == 26);
    CHECK(tls_rig_await_failures(1));
    CHECK(reason() == JSONRPCC_TLS_ERROR - SSL_R_WRONG_VERSION_NUMBER);
    CHECK(strstr(info().why, "does not speak it") != NULL);
    CHECK(tls_rig.rig.servers.list[0].next_us > 0);
    tls_rig_close();
}

static void test_an_end_in_the_handshake_has_a_reason(void)
{
    char text[100];

    tls_rig_open(NULL, NULL); /* accepts and closes */
    CHECK(tls_rig_await_failures(1));
    CHECK(reason() == JSONRPCC_TLS);
    jsonrpcc_reason_text(reason(), text, sizeof text);
    CHECK(strcmp(text, "TLS: closed during the handshake") == 0);
    tls_rig_close();
}

static void test_another_group_is_agreed_on(void)
{
    SSL_CTX *server = tls_end_context(&tls_good, 0);

    CHECK(SSL_CTX_set1_groups_list(server, "P-384") == 1); /* asks again */
    tls_rig_open(NULL, server);
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
    tls_rig_close();
}

/* A session is resumed once; the new connection brings the next one.  polite:
 * the server announces the end of the connection. */
static void test_sessions_are_resumed(int version, bool polite)
{
    open_with(version);
    for (int i = 0; i < 3; i++) {
        uint64_t id = call((uint64_t)i);
        tls_rig_turn();
        tls_rig_answer(id); /* also brings the tickets */
        CHECK(tls_rig_await_outcome((uint64_t)i));
        uint64_t connects = tls_rig.rig.engine.conns[0].connects;
        if (polite)
            SSL_shutdown(tls_rig.end.ssl);
        tls_end_pump(&tls_rig.end);
        tls_end_cut(&tls_rig.end);
        while (tls_rig.rig.engine.conns[0].connects == connects ||
               !tls_rig.end.established)
            tls_rig_turn();
        CHECK(tls_rig.end.resumed || (version == TLS1_2_VERSION && i == 1));
        CHECK(info().resumed == tls_rig.end.resumed);
    }
    tls_rig_close();
}

/* ---- certificates ---- */

static void refuse(const struct certificate *what,
                   const struct identity *issuer, int code, const char *words)
{
    struct identity bad = certificate_make(what, issuer);

    tls_rig_open(NULL, tls_end_context(&bad, 0));
    call(1);
    CHECK(tls_rig_await_failures(1));
    CHECK(reason() == JSONRPCC_TLS - code);
    if (!CHECK(strstr(info().why, words) != NULL))
        printf("  %s: %s\n", what->name, info().why);
    CHECK(is(1, JSONRPCC_EFAILURE, JSONRPCC_NOT_SENT));
    CHECK(tls_rig.end.len == 0 && !tls_rig.end.established);
    tls_rig_close();
    identity_free(&bad);
}

static void test_bad_certificates(void)
{
    refuse(&(struct certificate){.name = "old",
                                 .hosts = "IP:127.0.0.1",
                                 .from_days = -9,
                                 .to_days = -2},
           &tls_ca, X509_V_ERR_CERT_HAS_EXPIRED, "expired (CN=old)");
    refuse(&(struct certificate){.name = "new",
                                 .hosts = "IP:127.0.0.1",
                                 .from_days = 2,
                                 .to_days = 9},
           &tls_ca, X509_V_ERR_CERT_NOT_YET_VALID, "CN=new");
    refuse(&(struct certificate){.name = "alien", .hosts = "IP:127.0.0.1"},
           NULL, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "CN=alien");
    refuse(&(struct certificate){.name = "other",
                                 .hosts = "DNS:a.example,IP:127.0.0.2"},
           &tls_ca, X509_V_ERR_IP_ADDRESS_MISMATCH,
           "it is for a.example, 127.0.0.2");
    refuse(&(struct certificate){.name = "sixth", .hosts = "IP:2001:db8::7"},
           &tls_ca, X509_V_ERR_IP_ADDRESS_MISMATCH, "2001:db8:0:0:0:0:0:7");
    refuse(&(struct certificate){.name = "bell", .hosts = "DNS:a\ab.example"},
           &tls_ca, X509_V_ERR_IP_ADDRESS_MISMATCH, "it is for a?b.example");
    refuse(&(struct certificate){.name = "127.0.0.1"}, &tls_ca,
           X509_V_ERR_IP_ADDRESS_MISMATCH, "it is for nobody");
    refuse(&(struct certificate){.name = "client",
                                 .hosts = "IP:127.0.0.1",
                                 .usage = "clientAuth"},
           &tls_ca, X509_V_ERR_INVALID_PURPOSE, "CN=client");
}

static void test_verification_can_be_left_out(void)
{
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .flags = JSONRPCC_TLS_NO_VERIFY};
    struct identity alien =
        certificate_make(&(struct certificate){.name = "alien"}, NULL);

    tls_rig_open(&options, tls_end_context(&alien, 0));
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
    tls_rig_close();
    identity_free(&alien);
}

/* With the final dot of an absolute name, or without. */
static void test_a_name_can_be_given(const char *name)
{
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .ca = certificate_path("ca", "pem"),
                                  .server_name = name};
    struct identity named = certificate_make(
        &(struct certificate){.name = "named", .hosts = "DNS:*.b.example"},
        &tls_ca);

    tls_rig_open(&options, tls_end_context(&named, 0));
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
    CHECK(strcmp(SSL_get_servername(tls_rig.end.ssl, TLSEXT_NAMETYPE_host_name),
                 "a.b.example") == 0);
    tls_rig_close();
    identity_free(&named);
}

/* A chain that is too large is not read. */
static void test_a_giant_certificate_is_refused(void)
{
    struct identity giant = certificate_make(
        &(struct certificate){
            .name = "giant", .hosts = "IP:127.0.0.1", .padding = 100000},
        &tls_ca);

    tls_rig_open(NULL, tls_end_context(&giant, 0));
    CHECK(tls_rig_await_failures(1));
    CHECK(reason() == JSONRPCC_TLS_ERROR - SSL_R_EXCESSIVE_MESSAGE_SIZE);
    tls_rig_close();
    identity_free(&giant);
}

/* TLS 1.3 is established for us before the server looks at our certificate. */
static void test_a_late_refusal_is_a_failure(void)
{
    SSL_CTX *server = tls_end_context(&tls_good, 0);

    SSL_CTX_set_verify(server,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    tls_rig_open(NULL, server);
    CHECK(tls_rig_await(has_lost));
    CHECK(reason() ==
          JSONRPCC_TLS_ERROR - SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED);
    CHECK(strstr(info().why, "certificate required") != NULL);
    tls_rig_close();
}

static void test_own_certificates_prove_themselves(void)
{
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .ca = certificate_path("ca", "pem"),
                                  .cert = certificate_path("good", "pem"),
                                  .key = certificate_path("good", "key")};
    SSL_CTX *server = tls_end_context(&tls_good, 0);

    SSL_CTX_set_verify(server,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_load_verify_file(server, certificate_path("ca", "pem"));
    tls_rig_open(&options, server);
    CHECK(tls_rig_await_state(JRC_SERVER_PROVING));
    uint64_t id = call(1);
    tls_rig_turn();
    tls_rig_answer(id);
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
    tls_rig_close();
}

/* A certificate that does not fit into the output buffer goes out in parts. */
static void test_a_large_certificate_of_our_own_is_sent(void)
{
    struct identity large = certificate_make(
        &(struct certificate){.name = "large", .padding = 50000}, &tls_ca);
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .ca = certificate_path("ca", "pem"),
                                  .cert = certificate_path("large", "pem"),
                                  .key = certificate_path("large", "key")};
    SSL_CTX *server = tls_end_context(&tls_good, 0);

    SSL_CTX_set_verify(server,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_load_verify_file(server, certificate_path("ca", "pem"));
    tls_rig_open(&options, server);
    uint64_t id = call(1);
    CHECK(tls_rig_await(has_one_frame));
    tls_rig_answer(id);
    CHECK(tls_rig_await_outcome(1) && is(1, JSONRPCC_OK, JSONRPCC_ANSWERED));
    CHECK(tls_rig.end.got > 50000);
    tls_rig_close();
    identity_free(&large);
}

/* A late refusal costs only the one call that proves a connection, even with no
 * other server. */
static void test_a_late_refusal_costs_one_call(int version)
{
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .ca = certificate_path("ca", "pem"),
                                  .cert = certificate_path("good", "pem"),
                                  .key = certificate_path("good", "key")};
    SSL_CTX *server = tls_end_context(&tls_good, version);
    struct rig *rig = &tls_rig.rig;
    unsigned lost = 0;

    /* It trusts nobody. */
    SSL_CTX_set_verify(server,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    tls_rig_open(&options, server);
    for (uint64_t n = 1; n <= 20; n++)
        call(n);
    if (version == 0)
        CHECK(tls_rig_await(has_lost));
    CHECK(tls_rig_await_outcome(20));
    for (uint64_t n = 1; n <= 20; n++) {
        const jsonrpcc_outcome *outcome = rig_outcome(rig, n);
        lost += CHECK(outcome != NULL) && outcome->fate != JSONRPCC_NOT_SENT;
    }
    CHECK(lost == (version == 0 ? 1 : 0));
    CHECK(tls_rig.end.error == SSL_R_CERTIFICATE_VERIFY_FAILED);
    tls_rig_close();
}

/* The number of a connection may come to belong to another server. */
static void test_another_host_is_another_peer(void)
{
    struct jrc_tls_peer *peer = calloc(1, sizeof *peer);

    open_with(0);
    CHECK(jrc_tls_peer_prepare(peer, tls_rig.end.ssl, "a.example", 1));
    jrc_tls_peer_note(peer, tls_rig.end.ssl);
    CHECK(jrc_tls_peer_prepare(peer, tls_rig.end.ssl, "a.example", 1));
    CHECK(peer->info.version != NULL);
    CHECK(jrc_tls_peer_prepare(peer, tls_rig.end.ssl, "b.example", 1));
    CHECK(peer->info.version == NULL && peer->session == NULL);
    jrc_tls_peer_free(peer);
    tls_rig_close();
}

int main(void)
{
    tls_rig_begin();
    test_a_call(0, "TLSv1.3");
    test_a_call(TLS1_2_VERSION, "TLSv1.2");
    test_calls_wait_for_the_handshake();
    test_a_slow_handshake_ends();
    test_a_server_without_tls_backs_off();
    test_an_end_in_the_handshake_has_a_reason();
    test_another_group_is_agreed_on();
    test_sessions_are_resumed(0, false);
    test_sessions_are_resumed(0, true);
    test_sessions_are_resumed(TLS1_2_VERSION, false);
    test_bad_certificates();
    test_verification_can_be_left_out();
    test_a_name_can_be_given("a.b.example");
    test_a_name_can_be_given("a.b.example.");
    test_a_giant_certificate_is_refused();
    test_a_late_refusal_is_a_failure();
    test_own_certificates_prove_themselves();
    test_a_large_certificate_of_our_own_is_sent();
    test_a_late_refusal_costs_one_call(0);
    test_a_late_refusal_costs_one_call(TLS1_2_VERSION);
    test_another_host_is_another_peer();
    tls_rig_end();
    return check_done();
}
