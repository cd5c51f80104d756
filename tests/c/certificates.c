#include "certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/jsonrpcc-certificates-XXXXXX";
static char made[64][128]; /* paths */
static unsigned made_count;

const char *certificate_path(const char *name, const char *ending)
{
    static char paths[64][128];
    static unsigned next;
    char *path = paths[next++ % 64];

    if (strstr(folder, "XXXXXX") != NULL && mkdtemp(folder) == NULL)
        abort();
    snprintf(path, sizeof paths[0], "%s/%s.%s", folder, name, ending);
    return path;
}

static void must(bool good)
{
    if (good)
        return;
    ERR_print_errors_fp(stderr);
    abort();
}

static void extend(X509 *certificate, const struct identity *issuer, int nid,
                   const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer->certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension =
        X509V3_EXT_nconf_nid(NULL, &context, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void pad(X509 *certificate, const struct identity *issuer,
                unsigned padding)
{
    char *comment = malloc(padding + 1);

    must(comment != NULL);
    memset(comment, 'x', padding);
    comment[padding] = '\0';
    extend(certificate, issuer, NID_netscape_comment, comment);
    free(comment);
}

static FILE *open_file(const char *name, const char *ending)
{
    const char *path = certificate_path(name, ending);
    unsigned i = 0;

    while (i < made_count && strcmp(made[i], path) != 0)
        i++;
    if (i == made_count && made_count < 64)
        snprintf(made[made_count++], sizeof made[0], "%s", path);
    FILE *file = fopen(path, "we");
    must(file != NULL);
    return file;
}

static void write_files(const struct identity *identity, const char *name)
{
    FILE *file = open_file(name, "pem");
    must(PEM_write_X509(file, identity->certificate) == 1);
    fclose(file);
    file = open_file(name, "key");
    must(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL) ==
         1);
    fclose(file);
}

struct identity certificate_make(const struct certificate *what,
                                 const struct identity *issuer)
{
    struct identity made_now = {X509_new(), EVP_EC_gen("P-256")};
    X509 *x = made_now.certificate;
    X509_NAME *name = X509_get_subject_name(x);
    bool has_days = what->from_days != 0 || what->to_days != 0;
    static long serial = 1;

    must(x != NULL && made_now.key != NULL);
    issuer = issuer != NULL ? issuer : &made_now;
    must(X509_set_version(x, 2) == 1 && X509_set_pubkey(x, made_now.key) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x),
                    (has_days ? what->from_days : -1) * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(x),
                    (has_days ? what->to_days : 30) * 86400L);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)what->name, -1, -1,
                                    0) == 1);
    must(X509_set_issuer_name(x, X509_get_subject_name(issuer->certificate)) ==
         1);
    extend(x, issuer, NID_basic_constraints,
           what->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!what->is_ca)
        extend(x, issuer, NID_ext_key_usage,
               what->usage != NULL ? what->usage : "serverAuth,clientAuth");
    if (what->hosts != NULL)
        extend(x, issuer, NID_subject_alt_name, what->hosts);
    if (what->padding > 0)
        pad(x, issuer, what->padding);
    must(X509_sign(x, issuer->key, EVP_sha256()) > 0);
    write_files(&made_now, what->name);
    return made_now;
}

void identity_free(struct identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

void certificates_remove(void)
{
    for (unsigned i = 0; i < made_count; i++)
        unlink(made[i]);
    rmdir(folder);
}
