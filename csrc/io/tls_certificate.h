/* What a certificate says: its name and its end. */

#ifndef JRC_TLS_CERTIFICATE_H
#define JRC_TLS_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

struct x509_st;
struct stack_st_X509;

/* Its end in Unix seconds; 0 if it has none that can be read. */
int64_t jrc_certificate_expires_s(const struct x509_st *certificate);

/* The sooner of before_s (0: none) and the first end in a chain, which may be
 * NULL. */
int64_t jrc_chain_expires_s(const struct stack_st_X509 *chain,
                            int64_t before_s);

/* Whom it is for, as "CN=a, O=b", with nothing in it that a terminal would
 * obey.  Truncated if necessary. */
void jrc_certificate_subject(const struct x509_st *certificate, char *text,
                             size_t size);

/* Which hosts it is for: "a.example, 192.0.2.1"; "nobody" without such names.
 */
void jrc_certificate_hosts(const struct x509_st *certificate, char *text,
                           size_t size);

#endif
