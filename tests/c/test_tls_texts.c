/* What is said about a TLS connection, and to its peer: the texts of reasons
 * and certificates, and the name that is asked for. */
#include "fault_here.h"

#include "certificates.h"
#include "check.h"
#include "io/tls_certificate.h"
#include "io/tls_channel.h"
#include "io/tls_reason.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- reasons ------------------------------------------------------------- */

static void check_reason(int32_t reason, const char *words)
{
    char text[200] = "";
    bool is_ours = jrc_tls_reason_text(reason, text, sizeof text);

    CHECK(is_ours == (words != NULL));
    if (!CHECK(words == NULL || strstr(text, words) != NULL))
        printf("  %d: %s\n", (int)reason, text);
}

static void test_reasons(void)
{
    check_reason(JSONRPCC_TLS, "closed during the handshake");
    check_reason(JSONRPCC_TLS - X509_V_ERR_CERT_HAS_EXPIRED, "expired");
    check_reason(JSONRPCC_TLS_ERROR - SSL_R_WRONG_VERSION_NUMBER, "speak");
    check_reason(JSONRPCC_TLS_ERROR - SSL_R_NO_SHARED_CIPHER, "cipher");
    check_reason(JSONRPCC_TLS_ERROR, "TLS: error 0");
    check_reason(JSONRPCC_TLS_ERROR - 9876, "TLS: error 9876");
    check_reason(JSONRPCC_TLS_ERROR - 10000, NULL);
    check_reason(JSONRPCC_TLS + 1, NULL);
}

/* ---- certificates -------------------------------------------------------- */

static void check_hosts(const char *hosts, const char *want)
{
    char text[128];
    struct identity made = certificate_make(
        &(struct certificate){.name = "hosts", .hosts = hosts}, NULL);

    jrc_certificate_hosts(made.certificate, text, sizeof text);
    if (!CHECK(strcmp(text, want) == 0))
        printf("  %s: %s\n", want, text);
    identity_free(&made);
}

static void test_hosts(void)
{
    check_hosts("DNS:a.example,IP:10.0.0.1", "a.example, 10.0.0.1");
    check_hosts("IP:2001:db8::1", "2001:db8:0:0:0:0:0:1");
    check_hosts("email:a@b.example,DNS:b.example", "b.example");
    check_hosts("email:a@b.example", "nobody");
    check_hosts(NULL, "nobody");
}

/* Others have written them, and terminals display them. */
static void test_control_characters(void)
{
    char text[128];
    struct identity made =
        certificate_make(&(struct certificate){.name = "plain"}, NULL);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();

    ASN1_STRING_set(value, "a\033[2Jb\377", -1);
    GENERAL_NAME_set0_value(name, GEN_DNS, value);
    sk_GENERAL_NAME_push(names, name);
    CHECK(X509_add1_ext_i2d(made.certificate, NID_subject_alt_name, names, 0,
                            0) == 1);
    GENERAL_NAMES_free(names);
    jrc_certificate_hosts(made.certificate, text, sizeof text);
    CHECK(strcmp(text, "a?[2Jb?") == 0);
    jrc_certificate_subject(made.certificate, text, sizeof text);
    CHECK(strcmp(text, "CN=plain") == 0);
    if (fault_has_memory()) {
        fault_arm(FAULT_MEMORY, 1, true);
        jrc_certificate_subject(made.certificate, text, sizeof text);
        fault_disarm();
        CHECK(text[0] == '\0');
    }
    identity_free(&made);
}

/* ---- the name that is asked for ------------------------------------------ */

static struct jrc_tls_context *new_context(const char *server_name)
{
    const jsonrpcc_tls options = {.size = sizeof options,
                                  .ca = certificate_path("ca", "pem"),
                                  .server_name = server_name};
    struct jrc_tls_context *context = NULL;
    char why[256];

    if (!CHECK(jrc_tls_context_new(&options, &context, why, sizeof why) == 0))
        printf("  %s\n", why);
    return context;
}

/* NULL: not a name to ask for. */
static void check_name(const char *server_name, const char *host,
                       const char *want)
{
    struct jrc_tls_context *context = new_context(server_name);
    struct jrc_tls_peer *peer = calloc(1, sizeof *peer);
    struct jrc_tls_channel *channel = jrc_tls_channel_new(context, peer, host);

    if (CHECK(channel != NULL)) {
        const char *name =
            SSL_get_servername(channel->ssl, TLSEXT_NAMETYPE_host_name);
        CHECK(want == NULL ? name == NULL
                           : name != NULL && strcmp(name, want) == 0);
        jrc_tls_channel_free(channel);
    }
    jrc_tls_peer_free(peer);
    jrc_tls_context_unref(context);
}

static void test_names(void)
{
    char name[300];

    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    check_name(NULL, "a.example", "a.example");
    check_name(NULL, "a.example.", "a.example"); /* as certificates have it */
    check_name("b.example", "a.example", "b.example");
    check_name(NULL, "127.0.0.1", NULL);
    check_name(NULL, "fe80::1%lo", NULL);
    check_name(name, "a.example", name + sizeof name - 256); /* cut */
    jrc_tls_peer_free(NULL);
}

static void test_a_channel_out_of_memory(void)
{
    struct jrc_tls_context *context = new_context(NULL);
    unsigned refused = 0, n = 0;
    bool hit = true;

    while (hit && n < 1000) {
        struct jrc_tls_peer *peer = calloc(1, sizeof *peer);
        fault_arm(FAULT_MEMORY, ++n, false);
        struct jrc_tls_channel *channel =
            jrc_tls_channel_new(context, peer, "a.example");
        fault_disarm();
        hit = fault_count() > 0;
        CHECK(hit || channel != NULL);
        refused += channel == NULL;
        if (channel != NULL)
            jrc_tls_channel_free(channel);
        jrc_tls_peer_free(peer);
    }
    CHECK(n < 1000 && refused > 5);
    jrc_tls_context_unref(context);
}

/* ---- files --------------------------------------------------------------- */

static void refuse(const jsonrpcc_tls *options, const char *words)
{
    struct jrc_tls_context *context = NULL;
    char why[256] = "";

    CHECK(jrc_tls_context_new(options, &context, why, sizeof why) == EINVAL);
    if (!CHECK(strstr(why, words) != NULL))
        printf("  %s\n", why);
}

/* Files that are there and cannot be read: the process has no descriptor
 * left. */
static void test_no_descriptors(void)
{
    const char *cert = certificate_path("ca", "pem");
    const char *key = certificate_path("ca", "key");
    struct rlimit before, none;

    jrc_tls_context_unref(new_context(NULL)); /* what is opened only once */
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    refuse(&(jsonrpcc_tls){.size = sizeof(jsonrpcc_tls), .ca = cert},
           strerror(EMFILE));
    refuse(&(jsonrpcc_tls){.size = sizeof(jsonrpcc_tls),
                           .cert = cert,
                           .key = key,
                           .flags = JSONRPCC_TLS_NO_VERIFY},
           strerror(EMFILE));
    setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
    struct identity ca = certificate_make(
        &(struct certificate){.name = "ca", .is_ca = true}, NULL);

    test_hosts();
    test_control_characters();
    test_names();
    test_reasons(); /* whose words OpenSSL has by now */
    if (fault_has_memory())
        test_a_channel_out_of_memory();
    test_no_descriptors();
    identity_free(&ca);
    certificates_remove();
    return check_done();
}
