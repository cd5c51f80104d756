#include "io/tls_files.h"

#ifdef JRC_TLS

#include "io/tls_certificate.h"
#include "io/tls_complaint.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SECURITY_LEVEL = 2, /* at least 112 bits, whatever the system's default */
    MOST_ISSUERS = 8,   /* between a server's certificate and a trusted one */
    MOST_CHAIN = 65536  /* bytes that a server's certificates may have */
};

/* Where systems keep their certificates, for an OpenSSL that was built for
 * another one. */
static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
};

/* The reason that OpenSSL gives, in its words. */
static const char *openssl_words(void)
{
    unsigned long code = ERR_peek_error();
    const char *words = ERR_reason_error_string(code);

    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    return words != NULL ? words : "it cannot be read";
}

/* ---- what we trust ---- */

/* Names as "openssl rehash" makes them: 8 hexadecimal digits, a dot, digits. */
static bool is_hash(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' &&
           name[9] != '\0' && name[9 + strspn(name + 9, "0123456789")] == '\0';
}

static bool has_hashes(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (is_hash(entry->d_name))
            break;
    if (dir != NULL)
        closedir(dir);
    return entry != NULL;
}

/* OpenSSL's own places; where there is nothing, those that we know. */
static int trust_system(SSL_CTX *context, struct jrc_complaint *complaint)
{
    const char *file = getenv(X509_get_default_cert_file_env());
    const char *folder = getenv(X509_get_default_cert_dir_env());
    struct stat status;

    if (SSL_CTX_set_default_verify_paths(context) != 1)
        return jrc_complain(complaint, "tls: the system's certificates: %s",
                            openssl_words());
    ERR_clear_error(); /* one of the two may be missing */
    if (file != NULL || folder != NULL ||
        stat(X509_get_default_cert_file(), &status) == 0 ||
        has_hashes(X509_get_default_cert_dir()))
        return 0;
    for (size_t i = 0; i < sizeof system_files / sizeof system_files[0]; i++)
        if (stat(system_files[i], &status) == 0 &&
            SSL_CTX_load_verify_file(context, system_files[i]) == 1)
            return 0;
    return jrc_complain(
        complaint, "tls: the system has no certificates to trust: give ca");
}

/* OpenSSL reads the extensions of a certificate at its first use.  If memory
 * runs out then, it considers the certificate invalid from then on.  So have it
 * read them now, when that only means that the files could not be loaded. */
static int look_at_all(SSL_CTX *context, struct jrc_complaint *complaint)
{
    STACK_OF(X509_OBJECT) *objects =
        X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (one == NULL || X509_check_purpose(one, -1, 0) == 1)
            continue;
        if (jrc_complain(complaint, "tls: ca: out of memory") == ENOMEM)
            return ENOMEM;
    }
    return 0;
}

static int trust(SSL_CTX *context, const char *ca,
                 struct jrc_complaint *complaint)
{
    struct stat status;

    if (ca == NULL)
        return trust_system(context, complaint);
    if (stat(ca, &status) != 0)
        return jrc_complain(complaint, "tls: ca %s: %s", ca, strerror(errno));
    if (S_ISDIR(status.st_mode)) {
        if (!has_hashes(ca))
            return jrc_complain(
                complaint,
                "tls: ca %s: no certificate in it is named by its "
                "hash: run \"openssl rehash\"",
                ca);
        if (SSL_CTX_load_verify_dir(context, ca) == 1)
            return 0;
    } else if (!S_ISREG(status.st_mode)) {
        return jrc_complain(complaint,
                            "tls: ca %s: neither a file nor a folder", ca);
    } else if (SSL_CTX_load_verify_file(context, ca) == 1) {
        return 0;
    }
    return jrc_complain(complaint, "tls: ca %s: %s", ca, openssl_words());
}

/* ---- what we show ---- */

struct password {
    const char *text;
    bool asked;
};

/* Without this OpenSSL would ask on the terminal. */
static int give_password(char *buf, int size, int writing, void *arg)
{
    struct password *password = arg;

    (void)writing;
    password->asked = true;
    if (password->text == NULL || strlen(password->text) > (size_t)size)
        return -1;
    memcpy(buf, password->text, strlen(password->text));
    return (int)strlen(password->text);
}

static int check_file(const char *what, const char *path,
                      struct jrc_complaint *complaint)
{
    struct stat status;
    FILE *file;

    /* A FIFO would have us wait for its other end. */
    if (stat(path, &status) != 0)
        return jrc_complain(complaint, "tls: %s %s: %s", what, path,
                            strerror(errno));
    if (!S_ISREG(status.st_mode))
        return jrc_complain(complaint, "tls: %s %s: is not a file", what, path);
    file = fopen(path, "re");
    if (file == NULL)
        return jrc_complain(complaint, "tls: %s %s: %s", what, path,
                            strerror(errno));
    fclose(file);
    return 0;
}

/* Whether any server could accept it. */
static int check_own(X509 *certificate, const char *path,
                     struct jrc_complaint *complaint)
{
    const char *fault = NULL;
    char subject[128];

    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        fault = "certificate has expired";
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        fault = "certificate is not yet valid";
    else if (X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) != 1)
        fault = "certificate is not for clients";
    if (fault == NULL)
        return 0;
    jrc_certificate_subject(certificate, subject, sizeof subject);
    return jrc_complain(complaint, "tls: cert %s: %s (%s)", path, fault,
                        subject);
}

static int show(SSL_CTX *context, const struct jrc_tls_options *options,
                int64_t *expires_s, struct jrc_complaint *complaint)
{
    struct password password = {options->key_password, false};
    STACK_OF(X509) *chain = NULL;
    int error;

    *expires_s = 0;
    if (options->cert == NULL)
        return 0;
    SSL_CTX_set_default_passwd_cb(context, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, &password);
    if ((error = check_file("cert", options->cert, complaint)) != 0 ||
        (error = check_file("key", options->key, complaint)) != 0)
        return error;
    if (SSL_CTX_use_certificate_chain_file(context, options->cert) != 1)
        return jrc_complain(complaint, "tls: cert %s: %s", options->cert,
                            openssl_words());
    X509 *certificate = SSL_CTX_get0_certificate(context);
    error = check_own(certificate, options->cert, complaint);
    if (error != 0)
        return error;
    password.asked = false;
    /* Not SSL_CTX_check_private_key(): this checks that it fits, too. */
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) !=
        1) {
        unsigned long code = ERR_peek_error();
        if (ERR_GET_LIB(code) == ERR_LIB_X509)
            return jrc_complain(complaint, "tls: key %s does not fit cert %s",
                                options->key, options->cert);
        if (password.asked)
            return jrc_complain(complaint, "tls: key %s: %s", options->key,
                                password.text == NULL
                                    ? "needs key_password"
                                    : "key_password is wrong");
        return jrc_complain(complaint, "tls: key %s: %s", options->key,
                            openssl_words());
    }
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    SSL_CTX_get0_chain_certs(context, &chain);
    *expires_s =
        jrc_chain_expires_s(chain, jrc_certificate_expires_s(certificate));
    return 0;
}

/* ---- the context ---- */

static int set_rules(SSL_CTX *context, const struct jrc_tls_options *options,
                     struct jrc_complaint *complaint)
{
    const uint64_t unwanted = SSL_OP_LEGACY_SERVER_CONNECT |
                              SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                              SSL_OP_IGNORE_UNEXPECTED_EOF;

    SSL_CTX_clear_options(context, unwanted);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
    /* OpenSSL 3.2 or later.  Nothing is unpacked of a peer that has not proved
     * who it is. */
    SSL_CTX_set_options(context, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION |
                                     SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
#endif
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* After each ticket or key update we decide whether to go on. */
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    if (SSL_CTX_set_min_proto_version(
            context, options->only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, 0) != 1)
        return jrc_complain(complaint, "tls: min_version: %s", openssl_words());
    if (options->ciphers != NULL && options->ciphers[0] != '\0' &&
        SSL_CTX_set_cipher_list(context, options->ciphers) != 1)
        return jrc_complain(complaint, "tls: ciphers %s: %s", options->ciphers,
                            openssl_words());
    if (options->suites != NULL && options->suites[0] != '\0' &&
        SSL_CTX_set_ciphersuites(context, options->suites) != 1)
        return jrc_complain(complaint, "tls: ciphers %s: %s", options->suites,
                            openssl_words());
    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    SSL_CTX_set_max_cert_list(context, MOST_CHAIN);
    SSL_CTX_set_verify_depth(context, MOST_ISSUERS);
    /* RFC 9525: no common names, and a wildcard is a whole label. */
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(context),
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return 0;
}

int jrc_tls_load(const struct jrc_tls_options *options, SSL_CTX **result,
                 int64_t *expires_s, char *why, size_t why_size)
{
    struct jrc_complaint complaint = {why, why_size};

    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return jrc_complain(&complaint, "tls: %s", openssl_words());
    int error = set_rules(context, options, &complaint);
    if (error == 0 && options->verify)
        error = trust(context, options->ca, &complaint);
    if (error == 0)
        error = look_at_all(context, &complaint);
    if (error == 0 && ERR_peek_error() != 0 &&
        jrc_complain(&complaint, "tls: out of memory") == ENOMEM)
        error = ENOMEM; /* although each step seemed to work */
    if (error == 0)
        error = show(context, options, expires_s, &complaint);
    if (error == 0)
        *result = context;
    else
        SSL_CTX_free(context);
    return error;
}

#endif
