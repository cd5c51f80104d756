/* The table of functions that jsonrpcc_capi.h describes.  It is next to the
 * core, so that the compiler checks each of its pointers; capsule.c, which
 * knows Python, fills in client_from_object. */

#include "python/table.h"

#include <json-c/json.h>
#include <json-c/json_visit.h>

/* json-c returns an enum; the table promises an int. */
static int get_type(const struct json_object *tree)
{
    return (int)json_object_get_type(tree);
}

static jsonrpcc_capi table = {
    .size = sizeof table,
    .abi = JSONRPCC_ABI_VERSION,
    .version = jsonrpcc_version,
    .abi_version = jsonrpcc_abi_version,
    .status_text = jsonrpcc_status_text,
    .client_new = jsonrpcc_client_new,
    .client_close = jsonrpcc_client_close,
    .client_free = jsonrpcc_client_free,
    .servers_check = jsonrpcc_servers_check,
    .reason_text = jsonrpcc_reason_text,
    .request = jsonrpcc_request,
    .request_many = jsonrpcc_request_many,
    .cancel = jsonrpcc_cancel,
    .flush = jsonrpcc_flush,
    .room = jsonrpcc_room,
    .params_check = jsonrpcc_params_check,
    .waiter_new = jsonrpcc_waiter_new,
    .waiter_free = jsonrpcc_waiter_free,
    .wait = jsonrpcc_wait,
    .signal = jsonrpcc_signal,
    .sync_new = jsonrpcc_sync_new,
    .sync_free = jsonrpcc_sync_free,
    .sync_call = jsonrpcc_sync_call,
    .sync_submit = jsonrpcc_sync_submit,
    .sync_wait = jsonrpcc_sync_wait,
    .sync_cancel = jsonrpcc_sync_cancel,
    .sync_outcome = jsonrpcc_sync_outcome,
    .on_event = jsonrpcc_on_event,
    .host_poll = jsonrpcc_host_poll,
    .host_fd = jsonrpcc_host_fd,
    .server_count = jsonrpcc_server_count,
    .server_get = jsonrpcc_server_get,
    .client_stats = jsonrpcc_client_stats,
    .method = jsonrpcc_method,
    .method_get = jsonrpcc_method_get,
    .latency_bound_us = jsonrpcc_latency_bound_us,
    .completions_result = jsonrpcc_completions_result,
    .completions_origin = jsonrpcc_completions_origin,
    .completions_slow = jsonrpcc_completions_slow,
    .completions_failure = jsonrpcc_completions_failure,
    .completions_event = jsonrpcc_completions_event,
    .queue_new = jsonrpcc_queue_new,
    .queue_free = jsonrpcc_queue_free,
    .queue_request = jsonrpcc_queue_request,
    .queue_submit = jsonrpcc_queue_submit,
    .queue_request_many = jsonrpcc_queue_request_many,
    .queue_submit_many = jsonrpcc_queue_submit_many,
    .queue_room = jsonrpcc_queue_room,
    .queue_fetch = jsonrpcc_queue_fetch,
    .queue_wait = jsonrpcc_queue_wait,
    .queue_fd = jsonrpcc_queue_fd,
    .max_in_flight = jsonrpcc_max_in_flight,
    .refused = jsonrpcc_refused,
    .in_callback = jsonrpcc_in_callback,
    .undelivered = jsonrpcc_undelivered,
    .defer = jsonrpcc_defer,
    .poll = jsonrpcc_poll,
    .poll_fd = jsonrpcc_poll_fd,
    .queue_poll = jsonrpcc_queue_poll,
    .queue_poll_fd = jsonrpcc_queue_poll_fd,
    .waiter_is_foreign = jsonrpcc_waiter_is_foreign,
    .outcome_tree = jsonrpcc_outcome_tree,
    .json_object_get_type = get_type,
    .json_object_get_boolean = json_object_get_boolean,
    .json_object_get_int64 = json_object_get_int64,
    .json_object_get_uint64 = json_object_get_uint64,
    .json_object_get_double = json_object_get_double,
    .json_object_get_string = json_object_get_string,
    .json_object_get_string_len = json_object_get_string_len,
    .json_object_array_length = json_object_array_length,
    .json_object_array_get_idx = json_object_array_get_idx,
    .json_object_object_length = json_object_object_length,
    .json_object_object_get_ex = json_object_object_get_ex,
    .json_c_visit = json_c_visit,
    .json_object_to_json_string_ext = json_object_to_json_string_ext,
    .json_object_get = json_object_get,
    .json_object_put = json_object_put,
    .client_is_foreign = jsonrpcc_client_is_foreign,
    .queue_is_foreign = jsonrpcc_queue_is_foreign,
    .tls_library = jsonrpcc_tls_library,
    .tls_get = jsonrpcc_tls_get,
    .server_tls_get = jsonrpcc_server_tls_get,
    .servers_set = jsonrpcc_servers_set,
    .entry_get = jsonrpcc_entry_get,
    .wait_ready = jsonrpcc_wait_ready,
    .hello_set = jsonrpcc_hello_set,
};

jsonrpcc_capi *jrc_capi(void)
{
    return &table;
}
