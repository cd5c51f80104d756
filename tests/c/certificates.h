/* Certificates made on the spot, as files in a folder of this program's own. */

#ifndef CERTIFICATES_H
#define CERTIFICATES_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* A certificate to be made; zero is the default. */
struct certificate {
    const char *name;       /* its files are name.pem and name.key */
    const char *hosts;      /* as in a configuration: "DNS:a,IP:127.0.0.1" */
    const char *usage;      /* "serverAuth", "clientAuth"; NULL: both */
    int from_days, to_days; /* relative to now; both 0: -1 and 30 */
    bool is_ca;
    unsigned padding; /* bytes of a comment, to make the certificate large */
};

/* An issuer and its key, or another certificate with its own. */
struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

/* The path of a file of that name: static, good for 64 calls. */
const char *certificate_path(const char *name, const char *ending);

/* Make it, signed by the issuer (NULL: by itself), and write its files.  The
 * caller releases it with identity_free(). */
struct identity certificate_make(const struct certificate *what,
                                 const struct identity *issuer);
void identity_free(struct identity *identity);

/* Remove the folder and everything in it. */
void certificates_remove(void);

#endif
