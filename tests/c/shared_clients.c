/* In programs that are linked with --wrap=jsonrpcc_client_new, all clients
 * share one event thread. */
#include "jsonrpcc.h"

#include <stddef.h>

jsonrpcc_status __real_jsonrpcc_client_new(const jsonrpcc_options *options,
                                           jsonrpcc_client **client, char *why,
                                           size_t why_size);
jsonrpcc_status __wrap_jsonrpcc_client_new(const jsonrpcc_options *options,
                                           jsonrpcc_client **client, char *why,
                                           size_t why_size);

jsonrpcc_status __wrap_jsonrpcc_client_new(const jsonrpcc_options *options,
                                           jsonrpcc_client **client, char *why,
                                           size_t why_size)
{
    jsonrpcc_options shared;

    /* An options struct of another version is passed on as it is. */
    if (options->size != sizeof shared)
        return __real_jsonrpcc_client_new(options, client, why, why_size);
    shared = *options;
    shared.flags |= JSONRPCC_SHARED_THREAD;
    return __real_jsonrpcc_client_new(&shared, client, why, why_size);
}
