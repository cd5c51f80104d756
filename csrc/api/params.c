/* The params of a call, checked without a client. */

#include "jsonrpcc.h"
#include "wire/request.h"

#include <stdlib.h>

bool jsonrpcc_params_check(const char *params, size_t params_len,
                           uint32_t flags, size_t *at, const char **rule)
{
    struct jrc_fault fault = {NULL, 0};
    char *owned = NULL;
    size_t owned_len;
    bool good =
        jrc_params_check(params, params_len, (flags & JSONRPCC_LENIENT) != 0,
                         &owned, &owned_len, &fault);

    free(owned);
    if (good)
        return true;
    *at = fault.at;
    *rule = fault.rule != NULL ? fault.rule : "out of memory";
    return false;
}
