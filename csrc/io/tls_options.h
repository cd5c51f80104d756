/* What users ask for, as far as no file is needed to check it. */

#ifndef JRC_TLS_OPTIONS_H
#define JRC_TLS_OPTIONS_H

#include "jsonrpcc.h"

/* A complete copy of a jsonrpcc_tls. */
struct jrc_tls_options {
    char *ca, *cert, *key, *key_password, *server_name;
    char *ciphers, *suites; /* of TLS 1.2, and of TLS 1.3 */
    bool only_13;
    bool verify;
    int32_t reload_ms; /* -1: never */
};

/* What users gave, checked as far as no file is needed.  0; EINVAL, and why
 * says which field is wrong; ENOMEM.  In any case jrc_tls_options_clear()
 * releases it. */
int jrc_tls_options_copy(struct jrc_tls_options *options,
                         const jsonrpcc_tls *given, char *why, size_t why_size);
void jrc_tls_options_clear(struct jrc_tls_options *options);

#endif
