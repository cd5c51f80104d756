#include "io/tls_certificate.h"

#ifdef JRC_TLS

#include <openssl/bio.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t jrc_certificate_expires_s(const X509 *certificate)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1
               ? (int64_t)timegm(&tm)
               : 0;
}

int64_t jrc_chain_expires_s(const STACK_OF(X509) * chain, int64_t before_s)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t end_s = jrc_certificate_expires_s(sk_X509_value(chain, i));
        if (end_s != 0 && (before_s == 0 || end_s < before_s))
            before_s = end_s;
    }
    return before_s;
}

/* What certificates contain comes from others. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text >= 127)
            *text = '?';
}

/* All that was written, as far as it fits. */
static void take_text(BIO *bio, char *text, size_t size)
{
    int n = BIO_read(bio, text, (int)size - 1);

    text[n > 0 ? n : 0] = '\0';
    make_printable(text);
}

void jrc_certificate_subject(const X509 *certificate, char *text, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());

    text[0] = '\0';
    if (bio == NULL)
        return;
    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                       XN_FLAG_RFC2253 & ~(unsigned long)XN_FLAG_DN_REV);
    take_text(bio, text, size);
    BIO_free(bio);
}

static void print_host(BIO *bio, const GENERAL_NAME *name, const char *before)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const unsigned char *bytes = NULL;

    if (type != GEN_DNS && type != GEN_IPADD)
        return;
    bytes = ASN1_STRING_get0_data(value);
    int len = ASN1_STRING_length(value);
    if (type == GEN_DNS)
        BIO_printf(bio, "%s%.*s", before, len, (const char *)bytes);
    else if (len == 4)
        BIO_printf(bio, "%s%d.%d.%d.%d", before, bytes[0], bytes[1], bytes[2],
                   bytes[3]);
    else
        for (int i = 0; i + 1 < len; i += 2)
            BIO_printf(bio, "%s%x", i == 0 ? before : ":",
                       bytes[i] << 8 | bytes[i + 1]);
}

void jrc_certificate_hosts(const X509 *certificate, char *text, size_t size)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    BIO *bio = BIO_new(BIO_s_mem());

    for (int i = 0; bio != NULL && i < sk_GENERAL_NAME_num(names); i++)
        print_host(bio, sk_GENERAL_NAME_value(names, i),
                   BIO_pending(bio) > 0 ? ", " : "");
    text[0] = '\0';
    if (bio != NULL)
        take_text(bio, text, size);
    if (text[0] == '\0')
        snprintf(text, size, "nobody");
    BIO_free(bio);
    GENERAL_NAMES_free(names);
}

#endif
