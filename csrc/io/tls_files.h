/* From the files that users name to a context of OpenSSL's.  Every file is read
 * and checked here, and whatever is wrong with one is reported with its name.
 */

#ifndef JRC_TLS_FILES_H
#define JRC_TLS_FILES_H

#include "io/tls_options.h"

struct ssl_ctx_st;

/* Read the files.  0 and a context, which the caller owns, and the time in
 * Unix seconds at which our own certificate ends (0: there is none).  EINVAL,
 * ENOMEM: why says which file is wrong, and how. */
int jrc_tls_load(const struct jrc_tls_options *options,
                 struct ssl_ctx_st **context, int64_t *expires_s, char *why,
                 size_t why_size);

#endif
