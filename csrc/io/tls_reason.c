#include "io/tls_reason.h"

#ifdef JRC_TLS

#include "jsonrpcc.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>

int32_t jrc_tls_take_reason(void)
{
    int32_t reason = 0;
    bool no_memory = false;
    unsigned long error;

    while ((error = ERR_get_error()) != 0) {
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            no_memory = true;
        else if (reason == 0 && ERR_GET_LIB(error) == ERR_LIB_SSL)
            reason = ERR_GET_REASON(error);
    }
    return no_memory ? ENOMEM : JSONRPCC_TLS_ERROR - reason;
}

bool jrc_tls_reason_text(int32_t reason, char *text, size_t size)
{
    if (reason > JSONRPCC_TLS || reason <= JSONRPCC_TLS_ERROR - 10000)
        return false;
    if (reason == JSONRPCC_TLS) {
        snprintf(text, size, "TLS: closed during the handshake");
    } else if (reason > JSONRPCC_TLS_ERROR) {
        snprintf(text, size, "TLS: %s",
                 X509_verify_cert_error_string(JSONRPCC_TLS - reason));
    } else if (reason == JSONRPCC_TLS_ERROR - SSL_R_WRONG_VERSION_NUMBER) {
        snprintf(text, size, "TLS: the server does not speak it");
    } else {
        int code = JSONRPCC_TLS_ERROR - reason;
        const char *words =
            ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, code));
        if (words != NULL && code > 0)
            snprintf(text, size, "TLS: %s", words);
        else
            snprintf(text, size, "TLS: error %d", code);
    }
    return true;
}

const char *jrc_tls_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

#endif
