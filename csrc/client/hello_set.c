/* The public function about hellos. */

#include "client/client.h"
#include "client/hello.h"

#include <errno.h>

jsonrpcc_status jsonrpcc_hello_set(jsonrpcc_client *client,
                                   const struct jsonrpcc_call *calls,
                                   size_t count, char *why, size_t why_size)
{
    jsonrpcc_options options = *jrc_client_options(client);
    struct jrc_hello *hello;
    char unused[1];

    jrc_client_why(&why, &why_size, unused);
    why[0] = '\0';
    options.hello = calls;
    options.hello_count = count;
    int error = jrc_hello_read(&hello, &options, why, why_size);
    if (error == 0)
        return jrc_client_set_hello(client, hello);
    if (error == EINVAL)
        return JSONRPCC_EINVAL;
    jsonrpcc_reason_text(error, why, why_size);
    return JSONRPCC_ENOMEM;
}
