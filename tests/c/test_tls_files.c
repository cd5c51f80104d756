/* The files of TLS: what is refused when a client is created, and what happens
 * when they change. */

#include "check.h"
#include "io/clock.h"
#include "tls_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char why[256];
static int looks_left; /* at the key, until it changes */

static void make(const char *name, int days);

/* In place of libc's: somebody writes new files right after they were looked
 * at. */
__attribute__((visibility("default"), used)) int stat(const char *path,
                                                      struct stat *status)
{
    int result = fstatat(AT_FDCWD, path, status, 0);

    if (looks_left > 0 && strcmp(path, certificate_path("own", "key")) == 0 &&
        --looks_left == 0)
        make("own", 50);
    return result;
}

static jsonrpcc_status create(const jsonrpcc_tls *tls)
{
    const jsonrpcc_options options = {
        .size = sizeof options, .servers = "127.0.0.1:1", .tls = tls};
    jsonrpcc_client *client = NULL;
    jsonrpcc_status status =
        jsonrpcc_client_new(&options, &client, why, sizeof why);

    CHECK((status == JSONRPCC_OK) == (client != NULL));
    if (client != NULL)
        jsonrpcc_client_close(client, -1);
    jsonrpcc_client_free(client);
    return status;
}

static void refuse(const jsonrpcc_tls *tls, const char *words)
{
    CHECK(create(tls) == JSONRPCC_EINVAL);
    if (!CHECK(strncmp(why, "tls: ", 5) == 0 && strstr(why, words) != NULL))
        printf("  %s: %s\n", words, why);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    if (file == NULL || fputs(text, file) < 0)
        abort();
    fclose(file);
}

static void write_key(const char *path, const char *password)
{
    FILE *file = fopen(path, "we");

    if (file == NULL ||
        PEM_write_PrivateKey(file, tls_good.key, EVP_aes_128_cbc(),
                             (const unsigned char *)password,
                             (int)strlen(password), NULL, NULL) != 1)
        abort();
    fclose(file);
}

#define TLS(...) (&(jsonrpcc_tls){.size = sizeof(jsonrpcc_tls), __VA_ARGS__})

static void test_options_that_make_no_sense(void)
{
    const char *ca = certificate_path("ca", "pem");
    const char *cert = certificate_path("good", "pem");
    const char *key = certificate_path("good", "key");

    refuse(TLS(.cert = cert), "cert without key");
    refuse(TLS(.key = key), "key without cert");
    refuse(TLS(.key_password = "x"), "key_password without key");
    refuse(TLS(.ca = ca, .flags = JSONRPCC_TLS_NO_VERIFY), "to be verified");
    refuse(TLS(.ca = ca, .min_version = "1.1"), "1.2 or 1.3, not 1.1");
    refuse(TLS(.ca = ca, .ciphers = "ALL@SECLEVEL=0"), "@");
    refuse(TLS(.ca = ca, .ciphers = "NONESUCH"), "ciphers NONESUCH");
    refuse(TLS(.ca = ca, .ciphers = "TLS_NONE"), "ciphers TLS_NONE");
    refuse(TLS(.ca = ca, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256",
               .min_version = "1.3"),
           "min_version excludes");
    refuse(TLS(.ca = ca, .reload_ms = -2), "reload_ms");
    refuse(TLS(.ca = ca, .flags = 2), "flags");
    refuse(TLS(.ca = ""), "ca is empty");
    CHECK(create(TLS(.ca = ca, .min_version = "1.3")) == JSONRPCC_OK);
    CHECK(create(TLS(.ca = ca, .ciphers = "TLS_AES_128_GCM_SHA256:ECDHE-"
                                          "ECDSA-AES128-GCM-SHA256")) ==
          JSONRPCC_OK);
    CHECK(create(TLS(.ca = ca, .cert = cert, .key = key)) == JSONRPCC_OK);
}

static void test_structs_of_other_versions(void)
{
    struct {
        jsonrpcc_tls tls;
        int more;
    } newer = {
        .tls = {.size = sizeof newer, .ca = certificate_path("ca", "pem")}};
    jsonrpcc_tls older = {.size = offsetof(jsonrpcc_tls, cert),
                          .ca = certificate_path("ca", "pem"),
                          .cert = "is not looked at"};

    CHECK(create(&newer.tls) == JSONRPCC_OK);
    newer.more = 1;
    refuse(&newer.tls, "does not have");
    CHECK(create(&older) == JSONRPCC_OK);
}

static void test_files_that_are_wrong(void)
{
    char other[128], text[128], secret[128];
    const char *ca = certificate_path("ca", "pem");
    const char *cert = certificate_path("good", "pem");
    struct identity old = certificate_make(
        &(struct certificate){.name = "old", .from_days = -9, .to_days = -1},
        &tls_ca);
    struct identity server = certificate_make(
        &(struct certificate){.name = "server", .usage = "serverAuth"},
        &tls_ca);

    snprintf(other, sizeof other, "%s", certificate_path("ca", "key"));
    snprintf(text, sizeof text, "%s", certificate_path("text", "pem"));
    snprintf(secret, sizeof secret, "%s", certificate_path("secret", "key"));
    write_text(text, "nothing\n");
    write_key(secret, "hush");
    refuse(TLS(.ca = "/nowhere/ca.pem"),
           "ca /nowhere/ca.pem: No such file or directory");
    refuse(TLS(.ca = text), "text.pem: ");
    refuse(TLS(.ca = "/"), "openssl rehash");
    refuse(TLS(.ca = "/dev/null"), "neither a file nor a folder");
    refuse(TLS(.ca = ca, .cert = cert, .key = other), "does not fit cert");
    refuse(TLS(.ca = ca, .cert = cert, .key = "/nowhere"),
           "key /nowhere: No such file");
    refuse(TLS(.ca = ca, .cert = cert, .key = text), "key ");
    refuse(TLS(.ca = ca, .cert = text, .key = other), "cert ");
    refuse(TLS(.ca = ca, .cert = "/", .key = other), "is not a file");
    refuse(TLS(.ca = ca, .cert = certificate_path("old", "pem"),
               .key = certificate_path("old", "key")),
           "certificate has expired (CN=old)");
    refuse(TLS(.ca = ca, .cert = certificate_path("server", "pem"),
               .key = certificate_path("server", "key")),
           "certificate is not for clients (CN=server)");
    refuse(TLS(.ca = ca, .cert = cert, .key = secret), "needs key_password");
    refuse(TLS(.ca = ca, .cert = cert, .key = secret, .key_password = "no"),
           "key_password is wrong");
    CHECK(create(TLS(.ca = ca, .cert = cert, .key = secret,
                     .key_password = "hush")) == JSONRPCC_OK);
    identity_free(&old);
    identity_free(&server);
    remove(text);
    remove(secret);
}

/* ---- changes ---- */

/* What the next look finds; -1: nothing to report. */
static int32_t look(struct jrc_tls_context *context)
{
    int32_t reason = 0;

    context->check_us = 0;
    return jrc_tls_context_check(context, jrc_now_us(), &reason) ? reason : -1;
}

static void make(const char *name, int days)
{
    struct identity made = certificate_make(
        &(struct certificate){.name = name, .from_days = -1, .to_days = days},
        &tls_ca);

    identity_free(&made);
}

static jsonrpcc_tls_info info_of(struct jrc_tls_context *context)
{
    jsonrpcc_tls_info info;

    jrc_tls_context_info(context, &info);
    return info;
}

static void test_new_files_are_used_and_wrong_ones_are_not(void)
{
    struct jrc_tls_context *context;
    struct ssl_ctx_st *before;
    const char *key = certificate_path("own", "key");

    make("own", 10);
    CHECK(jrc_tls_context_new(TLS(.ca = certificate_path("ca", "pem"),
                                  .cert = certificate_path("own", "pem"),
                                  .key = key),
                              &context, why, sizeof why) == 0);
    int64_t expires_s = info_of(context).expires_s;
    before = context->current;
    CHECK(look(context) == -1 && context->current == before);

    make("own", 20);
    CHECK(look(context) == 0 && context->current != before);
    CHECK(info_of(context).expires_s - expires_s > 9 * 86400);
    CHECK(info_of(context).reloads == 1);

    before = context->current;
    write_text(key, "half of a key");
    CHECK(look(context) == EINVAL && context->current == before);
    CHECK(look(context) == -1); /* reported once */
    CHECK(strstr(info_of(context).why, "key") != NULL);
    CHECK(info_of(context).refusals == 1);
    remove(key);
    CHECK(look(context) == EINVAL); /* a different complaint */
    CHECK(strstr(info_of(context).why, "No such file") != NULL);

    make("own", 30);
    CHECK(look(context) == 0 && info_of(context).why[0] == '\0');
    CHECK(info_of(context).reloads == 2);

    /* What changes while it is read is news once, and not once more. */
    make("own", 40);
    looks_left = 2; /* the first one notices the change */
    CHECK(look(context) == 0 && looks_left == 0);
    CHECK(look(context) == -1);
    CHECK(info_of(context).reloads == 3);
    jrc_tls_context_unref(context);
}

/* New connections use the new files, and an old session is not resumed. */
static void test_connections_use_what_is_there(void)
{
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .ca = certificate_path("trusted", "pem")};
    int32_t reason;
    struct identity trusted = certificate_make(
        &(struct certificate){.name = "trusted", .is_ca = true}, NULL);
    struct identity first = certificate_make(
        &(struct certificate){.name = "first", .hosts = "IP:127.0.0.1"},
        &trusted);

    tls_rig_open(&options, tls_end_context(&first, 0));
    CHECK(tls_rig_await_state(JRC_SERVER_UP));
    uint64_t id = rig_call(&tls_rig.rig, 1, 0, 60000);
    for (int i = 0; i < 10; i++)
        tls_rig_turn();
    tls_rig_answer(id);
    CHECK(tls_rig_await_outcome(1)); /* with it came tickets */

    struct identity other = certificate_make(
        &(struct certificate){.name = "trusted", .is_ca = true}, NULL);
    tls_rig.context->check_us = 0;
    CHECK(jrc_tls_context_check(tls_rig.context, jrc_now_us(), &reason));
    tls_end_cut(&tls_rig.end);
    CHECK(tls_rig_await_failures(1));
    CHECK(tls_rig.rig.servers.list[0].reason <= JSONRPCC_TLS);
    CHECK(!tls_rig.end.established && !tls_rig.end.resumed);
    tls_rig_close();
    identity_free(&trusted);
    identity_free(&other);
    identity_free(&first);
}

/* OpenSSL may not have reported what it could not do for lack of memory. */
static void test_after_a_failed_handshake_files_are_read_again(void)
{
    struct jrc_tls_context *context;
    struct ssl_ctx_st *before;

    CHECK(jrc_tls_context_new(TLS(.ca = certificate_path("ca", "pem")),
                              &context, why, sizeof why) == 0);
    before = context->current;
    context->doubted = true;
    CHECK(look(context) == -1 && context->current != before);
    before = context->current;
    CHECK(look(context) == -1 && context->current == before);
    CHECK(info_of(context).reloads == 0);
    jrc_tls_context_unref(context);
}

static void test_reading_again_can_be_off(void)
{
    struct jrc_tls_context *context;

    CHECK(jrc_tls_context_new(
              TLS(.ca = certificate_path("ca", "pem"), .reload_ms = -1),
              &context, why, sizeof why) == 0);
    CHECK(jrc_tls_context_next_us(context) == UINT64_MAX);
    jrc_tls_context_unref(context);
}

/* ---- by a client ---- */

static atomic_int told = -1;

static void on_event(void *arg, const jsonrpcc_event *event)
{
    (void)arg;
    if (event->kind == JSONRPCC_CERTIFICATES) {
        CHECK(event->server == -1);
        told = event->reason;
    }
}

static void await_told(int32_t reason)
{
    for (int i = 0; i < 5000 && told != reason; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(told == reason);
}

static void test_a_client_reports_new_certificates(void)
{
    const jsonrpcc_tls tls = {.size = sizeof tls,
                              .ca = certificate_path("ca", "pem"),
                              .cert = certificate_path("own", "pem"),
                              .key = certificate_path("own", "key"),
                              .reload_ms = 5};
    const jsonrpcc_options options = {
        .size = sizeof options, .servers = "127.0.0.1:1", .tls = &tls};
    jsonrpcc_client *client;
    jsonrpcc_tls_info info;
    jsonrpcc_server_tls_info server;

    CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
          JSONRPCC_OK);
    jsonrpcc_on_event(client, on_event, NULL);
    write_text(certificate_path("own", "pem"), "half a certificate");
    await_told(EINVAL);
    CHECK(jsonrpcc_tls_get(client, &info, sizeof info));
    CHECK(info.refusals == 1 && strstr(info.why, "cert ") != NULL);
    make("own", 40);
    await_told(0);
    CHECK(jsonrpcc_tls_get(client, &info, sizeof info));
    CHECK(info.reloads == 1 && info.why[0] == '\0');
    CHECK(jsonrpcc_server_tls_get(client, 0, &server, sizeof server));
    CHECK(server.version == NULL && server.expires_s == 0);
    CHECK(!jsonrpcc_server_tls_get(client, 1, &server, sizeof server));
    jsonrpcc_client_close(client, -1);
    jsonrpcc_client_free(client);
}

int main(void)
{
    tls_rig_begin();
    CHECK(strncmp(jsonrpcc_tls_library(), "OpenSSL 3", 9) == 0);
    test_options_that_make_no_sense();
    test_structs_of_other_versions();
    test_files_that_are_wrong();
    test_new_files_are_used_and_wrong_ones_are_not();
    test_connections_use_what_is_there();
    test_after_a_failed_handshake_files_are_read_again();
    test_reading_again_can_be_off();
    test_a_client_reports_new_certificates();
    tls_rig_end();
    return check_done();
}
