/* Why TLS failed: from OpenSSL's queue of errors to a jsonrpcc_reason, and from
 * that to a text. */

#ifndef JRC_TLS_REASON_H
#define JRC_TLS_REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef JRC_TLS

/* Why the last operation of this thread failed, and empty the queue: ENOMEM, or
 * one of JSONRPCC_TLS_ERROR. */
int32_t jrc_tls_take_reason(void);

/* Write the meaning of a reason from JSONRPCC_TLS downwards.  False: it is
 * none, and nothing was written. */
bool jrc_tls_reason_text(int32_t reason, char *text, size_t size);

/* The name and version of the library in use.  Static. */
const char *jrc_tls_library(void);

#else

static inline bool jrc_tls_reason_text(int32_t reason, char *text, size_t size)
{
    (void)reason;
    (void)text;
    (void)size;
    return false;
}

static inline const char *jrc_tls_library(void)
{
    return NULL;
}

#endif
#endif
