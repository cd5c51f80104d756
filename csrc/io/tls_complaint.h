/* What is wrong with an option or a file, in words for people. */

#ifndef JRC_TLS_COMPLAINT_H
#define JRC_TLS_COMPLAINT_H

#include <stddef.h>

struct jrc_complaint {
    char *why; /* [0..size) gets text, NUL-terminated, truncated if necessary */
    size_t size;
};

/* Say what is wrong.  EINVAL; or ENOMEM if that is in OpenSSL's queue of
 * errors, which is empty afterwards. */
__attribute__((format(printf, 2, 3))) int jrc_complain(
    struct jrc_complaint *complaint, const char *format, ...);

#endif
