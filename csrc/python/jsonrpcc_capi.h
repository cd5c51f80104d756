/* jsonrpcc for other extension modules: the one core in the process.
 *
 *     #include <jsonrpcc_capi.h>
 *
 *     static const jsonrpcc_capi *rpc;      in PyInit_...():
 *     rpc = jsonrpcc_import();
 *     if (rpc == NULL)
 *         return NULL;                      an ImportError is set
 *     ...
 *     rpc->request(client, &call, NULL);    is jsonrpcc_request()
 *
 * Compile with what "python -m jsonrpcc --cflags" prints; there is nothing to
 * link.  jsonrpcc.h describes the types and functions; the table has each
 * function under its name without "jsonrpcc_".
 *
 * The GIL.  Only jsonrpcc_import() and client_from_object() need it; nothing
 * else in the table touches Python.  Release the GIL around functions that wait
 * (wait, sync_call, sync_wait, room, queue_wait, queue_room, client_close).
 * Callbacks run without it, on a thread that Python does not know.  They must
 * not enter Python, because they may run while the interpreter is shutting
 * down, and they must not block, because clients of Python share threads. */

#ifndef JSONRPCC_CAPI_H
#define JSONRPCC_CAPI_H

#include <Python.h>

#include "jsonrpcc.h"

/* Members are only ever appended; size says which ones exist. */
typedef struct jsonrpcc_capi {
    size_t size;  /* of the table */
    uint32_t abi; /* JSONRPCC_ABI_VERSION of the module that provides it */

    /* The client inside a jsonrpcc.Client or AsyncClient.  NULL: the object is
     * neither, and a TypeError is set.  The client is borrowed from the object:
     * hold a reference to the object (Py_INCREF) as long as you use the client
     * or have calls, waiters, syncs or queues of it, and do not free the
     * client.  If any code closes the object, it closes the client for you,
     * too: your calls end with JSONRPCC_ECLOSED. */
    jsonrpcc_client *(*client_from_object)(PyObject *object);

    __typeof__(jsonrpcc_version) *version;
    __typeof__(jsonrpcc_abi_version) *abi_version;
    __typeof__(jsonrpcc_status_text) *status_text;
    __typeof__(jsonrpcc_client_new) *client_new;
    __typeof__(jsonrpcc_client_close) *client_close;
    __typeof__(jsonrpcc_client_free) *client_free;
    __typeof__(jsonrpcc_servers_check) *servers_check;
    __typeof__(jsonrpcc_reason_text) *reason_text;
    __typeof__(jsonrpcc_request) *request;
    __typeof__(jsonrpcc_request_many) *request_many;
    __typeof__(jsonrpcc_cancel) *cancel;
    __typeof__(jsonrpcc_flush) *flush;
    __typeof__(jsonrpcc_room) *room;
    __typeof__(jsonrpcc_params_check) *params_check;
    __typeof__(jsonrpcc_waiter_new) *waiter_new;
    __typeof__(jsonrpcc_waiter_free) *waiter_free;
    __typeof__(jsonrpcc_wait) *wait;
    __typeof__(jsonrpcc_signal) *signal;
    __typeof__(jsonrpcc_sync_new) *sync_new;
    __typeof__(jsonrpcc_sync_free) *sync_free;
    __typeof__(jsonrpcc_sync_call) *sync_call;
    __typeof__(jsonrpcc_sync_submit) *sync_submit;
    __typeof__(jsonrpcc_sync_wait) *sync_wait;
    __typeof__(jsonrpcc_sync_cancel) *sync_cancel;
    __typeof__(jsonrpcc_sync_outcome) *sync_outcome;
    __typeof__(jsonrpcc_on_event) *on_event;
    __typeof__(jsonrpcc_host_poll) *host_poll;
    __typeof__(jsonrpcc_host_fd) *host_fd;
    __typeof__(jsonrpcc_server_count) *server_count;
    __typeof__(jsonrpcc_server_get) *server_get;
    __typeof__(jsonrpcc_client_stats) *client_stats;
    __typeof__(jsonrpcc_method) *method;
    __typeof__(jsonrpcc_method_get) *method_get;
    __typeof__(jsonrpcc_latency_bound_us) *latency_bound_us;
    __typeof__(jsonrpcc_completions_result) *completions_result;
    __typeof__(jsonrpcc_completions_origin) *completions_origin;
    __typeof__(jsonrpcc_completions_failure) *completions_failure;
    __typeof__(jsonrpcc_completions_event) *completions_event;
    __typeof__(jsonrpcc_completions_slow) *completions_slow;
    __typeof__(jsonrpcc_queue_new) *queue_new;
    __typeof__(jsonrpcc_queue_free) *queue_free;
    __typeof__(jsonrpcc_queue_request) *queue_request;
    __typeof__(jsonrpcc_queue_submit) *queue_submit;
    __typeof__(jsonrpcc_queue_request_many) *queue_request_many;
    __typeof__(jsonrpcc_queue_submit_many) *queue_submit_many;
    __typeof__(jsonrpcc_queue_room) *queue_room;
    __typeof__(jsonrpcc_queue_fetch) *queue_fetch;
    __typeof__(jsonrpcc_queue_wait) *queue_wait;
    __typeof__(jsonrpcc_queue_fd) *queue_fd;
    __typeof__(jsonrpcc_max_in_flight) *max_in_flight;
    __typeof__(jsonrpcc_refused) *refused;
    __typeof__(jsonrpcc_in_callback) *in_callback;
    __typeof__(jsonrpcc_undelivered) *undelivered;
    __typeof__(jsonrpcc_defer) *defer;
    __typeof__(jsonrpcc_poll) *poll;
    __typeof__(jsonrpcc_poll_fd) *poll_fd;
    __typeof__(jsonrpcc_queue_poll) *queue_poll;
    __typeof__(jsonrpcc_queue_poll_fd) *queue_poll_fd;
    __typeof__(jsonrpcc_waiter_is_foreign) *waiter_is_foreign;
    __typeof__(jsonrpcc_outcome_tree) *outcome_tree;

    /* Functions of the json-c that built the trees of outcome_tree().  The
     * process may contain another json-c of another version, so read and free
     * the trees only with these.  They do what json-c documents under the same
     * names; the type of a tree is an enum json_type as a number. */
    int (*json_object_get_type)(const struct json_object *tree);
    int (*json_object_get_boolean)(const struct json_object *tree);
    int64_t (*json_object_get_int64)(const struct json_object *tree);
    uint64_t (*json_object_get_uint64)(const struct json_object *tree);
    double (*json_object_get_double)(const struct json_object *tree);
    const char *(*json_object_get_string)(struct json_object *tree);
    int (*json_object_get_string_len)(const struct json_object *tree);
    size_t (*json_object_array_length)(const struct json_object *tree);
    struct json_object *(*json_object_array_get_idx)(
        const struct json_object *tree, size_t index);
    int (*json_object_object_length)(const struct json_object *tree);
    int (*json_object_object_get_ex)(const struct json_object *tree,
                                     const char *name,
                                     struct json_object **member);
    int (*json_c_visit)(struct json_object *tree, int future_flags,
                        int (*visit)(struct json_object *tree, int flags,
                                     struct json_object *parent,
                                     const char *name, size_t *index,
                                     void *arg),
                        void *arg);
    const char *(*json_object_to_json_string_ext)(struct json_object *tree,
                                                  int flags);
    struct json_object *(*json_object_get)(struct json_object *tree);
    int (*json_object_put)(struct json_object *tree);

    __typeof__(jsonrpcc_client_is_foreign) *client_is_foreign;
    __typeof__(jsonrpcc_queue_is_foreign) *queue_is_foreign;
    __typeof__(jsonrpcc_tls_library) *tls_library;
    __typeof__(jsonrpcc_tls_get) *tls_get;
    __typeof__(jsonrpcc_server_tls_get) *server_tls_get;
    __typeof__(jsonrpcc_servers_set) *servers_set;
    __typeof__(jsonrpcc_entry_get) *entry_get;
    __typeof__(jsonrpcc_wait_ready) *wait_ready;
    __typeof__(jsonrpcc_hello_set) *hello_set;
    __typeof__(jsonrpcc_client_count) *client_count;
    __typeof__(jsonrpcc_crew_new) *crew_new;
    __typeof__(jsonrpcc_crew_free) *crew_free;
    __typeof__(jsonrpcc_crew_is_foreign) *crew_is_foreign;
    __typeof__(jsonrpcc_crew_is_served) *crew_is_served;
    __typeof__(jsonrpcc_crew_serve) *crew_serve;
    __typeof__(jsonrpcc_crew_dismiss) *crew_dismiss;
    __typeof__(jsonrpcc_waiter_join) *waiter_join;
    __typeof__(jsonrpcc_queue_join) *queue_join;
    __typeof__(jsonrpcc_crew_begin) *crew_begin;
    __typeof__(jsonrpcc_is_ready) *is_ready;
} jsonrpcc_capi;

/* The table, for the life of the process.  NULL: an ImportError is set, because
 * jsonrpcc is not installed or is older than this header. */
static inline const jsonrpcc_capi *jsonrpcc_import(void)
{
    const jsonrpcc_capi *capi =
        (const jsonrpcc_capi *)PyCapsule_Import("jsonrpcc._capi", 0);

    if (capi != NULL &&
        (capi->abi < JSONRPCC_ABI_VERSION || capi->size < sizeof *capi)) {
        PyErr_Format(PyExc_ImportError,
                     "jsonrpcc %s has version %u of the C API, but %u is "
                     "needed: upgrade jsonrpcc",
                     capi->version(), (unsigned)capi->abi,
                     (unsigned)JSONRPCC_ABI_VERSION);
        return NULL;
    }
    return capi;
}

#endif
