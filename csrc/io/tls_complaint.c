#include "io/tls_complaint.h"

#ifdef JRC_TLS

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

int jrc_complain(struct jrc_complaint *complaint, const char *format, ...)
{
    int error = EINVAL;
    unsigned long code;
    va_list args;

    while ((code = ERR_get_error()) != 0)
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
            error = ENOMEM;
    va_start(args, format);
    vsnprintf(complaint->why, complaint->size, format, args);
    va_end(args);
    return error;
}

#endif
