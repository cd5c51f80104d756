/* jsonrpcc._fast: what Python does for every call, in C.
 *
 * A part of the Python package that happens to be written in C: it calls the
 * core by its public functions, with the GIL held, and nothing of the core
 * calls it.  The usual arguments only: whatever is unusual, and every error,
 * is left to Python code that does the same at its leisure. */

#ifndef JRC_MODULE_H
#define JRC_MODULE_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "jsonrpcc.h"

#include <stdbool.h>
#include <stdint.h>

/* Functions of the one core in the process, which lives in another module. */
struct fast_core {
    int64_t (*queue_request)(jsonrpcc_queue *queue, uint64_t token,
                             const char *method, size_t method_len,
                             const char *params, size_t params_len,
                             int32_t timeout_ms, uint32_t flags);
    bool (*queue_fetch)(jsonrpcc_queue *queue, jsonrpcc_batch *batch);
    bool (*queue_poll)(jsonrpcc_queue *queue);
    void (*cancel)(jsonrpcc_client *client, uint64_t id);
    void (*flush)(jsonrpcc_client *client);
    jsonrpcc_status (*sync_call)(jsonrpcc_sync *sync, const char *method,
                                 size_t method_len, const char *params,
                                 size_t params_len, int32_t timeout_ms,
                                 uint32_t flags, int32_t slice_ms);
    jsonrpcc_status (*sync_wait)(jsonrpcc_sync *sync, int32_t slice_ms);
    const jsonrpcc_outcome *(*sync_outcome)(jsonrpcc_sync *sync);
};

extern struct fast_core fast_core;

/* The keywords of a call, interned: callers' names are the same objects. */
struct fast_names {
    PyObject *params, *on_result, *on_error, *timeout, *idempotent,
        *wait_for_ready, *block;
};

extern struct fast_names fast_names;

/* A call as its caller gives it; texts are borrowed from objects. */
struct fast_arguments {
    PyObject *method, *params, *on_result, *on_error; /* NULL or None: none */
    int32_t timeout_ms;
    uint32_t flags;
    const char *method_text;
    Py_ssize_t method_len;
};

/* Read the arguments of a vectorcall, most positional ones at most.  False, and
 * no exception is set: they are unusual. */
bool fast_read_arguments(struct fast_arguments *arguments,
                         PyObject *const *args, Py_ssize_t n, PyObject *kwnames,
                         Py_ssize_t most);

/* The functions of a jsonrpcc._codec.Codec, which tells what they do. */
struct fast_codec {
    PyObject *encode, *decode, *decode_many;
    bool hides_nan, native;
};

/* False: an exception is set. */
bool fast_codec_read(struct fast_codec *codec, PyObject *object);
int fast_codec_visit(const struct fast_codec *codec, visitproc visit,
                     void *arg);
void fast_codec_clear(struct fast_codec *codec);

/* Encoded params, as a new reference: Py_None for none.  NULL: they are
 * unusual, or an exception is set. */
PyObject *fast_encode(const struct fast_codec *codec, PyObject *params);

/* The object of a JSON text.  NULL: an exception is set. */
PyObject *fast_decode(const struct fast_codec *codec, const char *json,
                      size_t len);

/* The list of a batch's results.  NULL: they can not be decoded at once, or an
 * exception is set that is no Exception. */
PyObject *fast_decode_many(const struct fast_codec *codec,
                           const jsonrpcc_batch *batch);

/* Whether nothing is left of a batch, whose counts are set to 0 as it is
 * delivered. */
static inline bool fast_is_delivered(const jsonrpcc_batch *batch)
{
    return batch->count == 0 && batch->failure_count == 0 &&
           batch->event_count == 0;
}

/* function(self, *args, **kwargs) for the arguments of a vectorcall; self may
 * be NULL. */
PyObject *fast_otherwise(PyObject *function, PyObject *self,
                         PyObject *const *args, Py_ssize_t n,
                         PyObject *kwnames);

/* Submit a call with fast_encode()'s text; id, or negated status. */
int64_t fast_submit(jsonrpcc_queue *queue,
                    const struct fast_arguments *arguments, PyObject *text,
                    uint64_t token, uint32_t flags);

/* Read one option of a call; false if its value is unusual. */
bool fast_read_timeout(PyObject *value, int32_t *ms);
bool fast_read_flag(PyObject *value, uint32_t flag, uint32_t *flags);

/* Whom to tell the outcome of a call; its index is the token of the call.  It
 * is filled before the call is submitted, for the outcome may come first, and
 * taken by whoever delivers the outcome. */
struct fast_entry {
    PyObject *on_result, *on_error; /* NULL or None: none */
    PyObject *method;               /* NULL: the entry is free */
    uint32_t next_free;
};

struct fast_entries {
    struct fast_entry *list;
    uint32_t used, room, free;
    Py_ssize_t live;
};

#define FAST_NO_ENTRY UINT32_MAX

void fast_entries_init(struct fast_entries *entries);

/* The token, or FAST_NO_ENTRY with an exception. */
uint32_t fast_entries_put(struct fast_entries *entries, PyObject *on_result,
                          PyObject *on_error, PyObject *method);

/* Look at an entry, borrowed; its method is NULL if there is none. */
void fast_entries_get(const struct fast_entries *entries, uint64_t token,
                      struct fast_entry *entry);

/* Take an entry out: its references are the caller's.  False: there is none. */
bool fast_entries_take(struct fast_entries *entries, uint64_t token,
                       struct fast_entry *entry);
void fast_entry_drop(struct fast_entry *entry);
void fast_entries_discard(struct fast_entries *entries, uint64_t token);
int fast_entries_visit(const struct fast_entries *entries, visitproc visit,
                       void *arg);
void fast_entries_clear(struct fast_entries *entries);

/* How many threads are handling a log record of ours.  While there is one,
 * fast_quieten(on_result, on_error) returns the callbacks that a call shall
 * have; jsonrpcc/_log.py tells why. */
extern int fast_hushed;
extern PyObject *fast_quieten;

/* What submits to a queue of a client's and delivers what comes from it. */
struct fast_calls {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue;
    PyObject *handle; /* keeps client */
    PyObject *keep;   /* keeps queue, and what else lives as long */
    struct fast_codec codec;
    struct fast_entries entries;
};

/* client and queue: ints, the addresses.  False: an exception is set. */
bool fast_calls_init(struct fast_calls *calls, PyObject *client,
                     PyObject *queue, PyObject *handle, PyObject *keep,
                     PyObject *codec);
int fast_calls_visit(const struct fast_calls *calls, visitproc visit,
                     void *arg);
void fast_calls_clear(struct fast_calls *calls);

/* As of entries, for a token that is an int.  False or NULL: an exception is
 * set. */
bool fast_calls_get(const struct fast_calls *calls, PyObject *token,
                    struct fast_entry *entry);
PyObject *fast_calls_discard(struct fast_calls *calls, PyObject *token);

/* tp_dealloc of objects that their tp_clear leaves nothing in. */
void fast_dealloc(PyObject *object);

/* A function of the module: see ordered.c. */
PyObject *fast_take(PyObject *module, PyObject *args);

/* The types: new references, or NULL. */
PyObject *fast_call_type(void);
PyObject *fast_blocking_type(void);
PyObject *fast_callbacks_type(void);
PyObject *fast_futures_type(void);
PyObject *fast_ordered_type(void);
PyObject *fast_pending_type(void);

/* A Call, or a Pending, its id still 0, and how to set it. */
PyObject *fast_call_new(PyObject *type, PyObject *handle,
                        jsonrpcc_client *client, PyObject *method);
PyObject *fast_pending_new(PyObject *type, PyObject *handle,
                           jsonrpcc_client *client, PyObject *method,
                           PyObject *future);
void fast_pending_set_id(PyObject *pending, uint64_t id);
void fast_call_set_id(PyObject *call, uint64_t id);

#endif
