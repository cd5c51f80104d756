/* jsonrpcc._speedups: what Python does for every call, in C.
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

#include "python/jsonrpcc_capi.h"

#include <stdbool.h>
#include <stdint.h>

/* Functions of the one core in the process, which lives in another module. */
extern const jsonrpcc_capi *spd_core;

/* Ctrl-C is seen between two slices of a wait. */
enum { SPD_SLICE_MS = 100 };

/* The keywords of a call, interned: callers' names are the same objects. */
struct spd_names {
    PyObject *params, *on_result, *on_error, *timeout, *idempotent,
        *wait_for_ready, *block;
};

extern struct spd_names spd_names;

/* What a style of call takes. */
struct spd_style {
    Py_ssize_t most; /* positional arguments */
    uint32_t flags;  /* that its options may set */
    bool callbacks, block;
};

/* A call as its caller gives it, ready to be submitted.  All but text and owner
 * is borrowed: from the caller's arguments, or from owner. */
struct spd_arguments {
    PyObject *method, *params, *on_result, *on_error; /* NULL or None: none */
    int32_t timeout_ms;
    uint32_t flags;
    bool block; /* the caller waits for room */
    const char *method_text;
    Py_ssize_t method_len;
    PyObject *text;  /* the encoded params, or None */
    PyObject *owner; /* what Python code made of unusual ones, or NULL */
};

/* Seconds as an option of a call.  False if the value is unusual. */
bool spd_read_timeout(PyObject *value, int32_t *ms);
bool spd_read_flag(PyObject *value, uint32_t flag, uint32_t *flags);

/* The method's text.  False: it has none, and an exception is set. */
bool spd_read_method(struct spd_arguments *arguments, PyObject *method);

/* The functions of a jsonrpcc._codec.Codec, which tells what they do. */
struct spd_codec {
    PyObject *encode, *decode, *decode_many;
    bool hides_nan, native;
};

/* False: an exception is set. */
bool spd_codec_read(struct spd_codec *codec, PyObject *object);
int spd_codec_visit(const struct spd_codec *codec, visitproc visit, void *arg);
void spd_codec_clear(struct spd_codec *codec);

/* Encoded params, as a new reference: Py_None for none.  NULL: they are
 * unusual, or an exception is set. */
PyObject *spd_encode(const struct spd_codec *codec, PyObject *params);

/* The object of a JSON text.  NULL: an exception is set. */
PyObject *spd_decode(const struct spd_codec *codec, const char *json,
                     size_t len);

/* The list of completions's results.  NULL: they can not be decoded at once, or
 * an exception is set that is no Exception. */
PyObject *spd_decode_many(const struct spd_codec *codec,
                          const jsonrpcc_completions *completions);

/* Whether nothing is left of what was fetched, whose counts are set to 0 as it
 * is delivered. */
static inline bool spd_is_delivered(const jsonrpcc_completions *completions)
{
    return completions->count == 0 && completions->failure_count == 0 &&
           completions->event_count == 0;
}

/* function(*args, **kwargs) for the arguments of a vectorcall. */
PyObject *spd_call_with(PyObject *function, PyObject *const *args, Py_ssize_t n,
                        PyObject *kwnames);

/* Read the arguments of a vectorcall, if they are usual: false if not, or if
 * an exception is set.  Or in any case: unusual ones are read by Python code,
 * read(*args, **kwargs), which returns or raises as jsonrpcc._params.Texts
 * tells.  False: an exception is set, and there is nothing to clear. */
bool spd_read_usual(struct spd_arguments *arguments,
                    const struct spd_style *style,
                    const struct spd_codec *codec, PyObject *const *args,
                    Py_ssize_t n, PyObject *kwnames);
bool spd_read(struct spd_arguments *arguments, const struct spd_style *style,
              const struct spd_codec *codec, PyObject *read,
              PyObject *const *args, Py_ssize_t n, PyObject *kwnames);

/* Read what Python code made of unusual arguments; steals it.  As above. */
bool spd_read_prepared(struct spd_arguments *arguments, PyObject *prepared);
void spd_arguments_clear(struct spd_arguments *arguments);

/* Submit a call; id, or negated status. */
int64_t spd_submit(jsonrpcc_queue *queue, const struct spd_arguments *arguments,
                   uint64_t token, uint32_t flags);

/* The bytes of spd_arguments.text. */
void spd_text(PyObject *text, char **bytes, size_t *len);

/* Raise what refuse(status, method, text, flags) returns. */
void spd_refuse(PyObject *refuse, jsonrpcc_status status,
                const struct spd_arguments *arguments);

/* A call that found no room, and how long its caller waits for it. */
struct spd_room {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue; /* NULL: room in the client alone */
    int64_t deadline_ms;
};

void spd_room_init(struct spd_room *room, jsonrpcc_client *client,
                   jsonrpcc_queue *queue, int32_t timeout_ms);

/* Wait for room, without the GIL, or a slice of time; *left_ms becomes what is
 * left of the call's time.  False: nothing is, or a signal handler raised. */
bool spd_room_wait(const struct spd_room *room, int32_t *left_ms);

/* Whom to tell the outcome of a call.  It is filled before the call is
 * submitted, for the outcome may come first.  If the call is refused it is
 * discarded with that, in the same step of C code; if it is accepted, the
 * outcome alone takes it out.
 *
 * A token names one filling of an entry: after that it matches nothing, so no
 * outcome can reach another call, whatever else goes wrong. */
struct spd_entry {
    PyObject *on_result, *on_error; /* NULL or None: none */
    PyObject *method;               /* NULL: the entry is free */
    uint32_t next_free;
    uint32_t generation;
};

struct spd_entries {
    struct spd_entry *list;
    uint32_t used, room, free;
    Py_ssize_t live;
};

#define SPD_NO_SLOT UINT32_MAX
#define SPD_NO_ENTRY UINT64_MAX

void spd_entries_init(struct spd_entries *entries);

/* The token, or SPD_NO_ENTRY with an exception. */
uint64_t spd_entries_put(struct spd_entries *entries, PyObject *on_result,
                         PyObject *on_error, PyObject *method);

/* Look at an entry, borrowed; its method is NULL if there is none. */
void spd_entries_get(const struct spd_entries *entries, uint64_t token,
                     struct spd_entry *entry);

/* Take an entry out: its references are the caller's.  False: there is none. */
bool spd_entries_take(struct spd_entries *entries, uint64_t token,
                      struct spd_entry *entry);
bool spd_entries_take_any(struct spd_entries *entries, uint32_t slot,
                          struct spd_entry *entry);
void spd_entry_drop(struct spd_entry *entry);
void spd_entries_discard(struct spd_entries *entries, uint64_t token);
int spd_entries_visit(const struct spd_entries *entries, visitproc visit,
                      void *arg);
void spd_entries_clear(struct spd_entries *entries);

/* How many threads are handling a log record of ours.  While there is one,
 * spd_quieten(on_result, on_error) returns the callbacks that a call shall
 * have; jsonrpcc/_log.py tells why. */
extern int spd_hushed;
extern PyObject *spd_quieten;

/* What submits to a queue of a client's and delivers what comes from it. */
struct spd_calls {
    jsonrpcc_client *client;
    jsonrpcc_queue *queue;
    PyObject *handle; /* keeps client */
    PyObject *keep;   /* keeps queue, and what else lives as long */
    PyObject *refuse; /* as of spd_refuse() */
    struct spd_codec codec;
    struct spd_entries entries;
};

/* client and queue: ints, the addresses.  False: an exception is set. */
bool spd_calls_init(struct spd_calls *calls, PyObject *client, PyObject *queue,
                    PyObject *handle, PyObject *keep, PyObject *codec,
                    PyObject *refuse);
int spd_calls_visit(const struct spd_calls *calls, visitproc visit, void *arg);
void spd_calls_clear(struct spd_calls *calls);

/* As of entries, for a token that is an int.  False or NULL: an exception is
 * set. */
bool spd_calls_get(const struct spd_calls *calls, PyObject *token,
                   struct spd_entry *entry);
PyObject *spd_calls_discard(struct spd_calls *calls, PyObject *token);

/* tp_dealloc of objects that their tp_clear leaves nothing in. */
void spd_dealloc(PyObject *object);

/* jsonrpcc.Client.request() and others: for the arguments of a vectorcall. */
PyObject *spd_request(PyObject *callbacks, PyObject *const *args, Py_ssize_t n,
                      PyObject *kwnames);
PyObject *spd_notification(PyObject *callbacks, PyObject *const *args,
                           Py_ssize_t n, PyObject *kwnames);
PyObject *spd_call(PyObject *blocking, PyObject *const *args, Py_ssize_t n,
                   PyObject *kwnames);

/* A function of the module: see client.c. */
PyObject *spd_assign(PyObject *module, PyObject *args);

/* A function of the module: see ordered.c. */
PyObject *spd_take(PyObject *module, PyObject *args);

/* The types: new references, or NULL. */
PyObject *spd_call_type(void);
PyObject *spd_blocking_type(void);
PyObject *spd_callbacks_type(void);
PyObject *spd_client_type(void);
PyObject *spd_futures_type(void);
PyObject *spd_ordered_type(void);
PyObject *spd_async_client_type(void);
PyObject *spd_method_type(void);
PyObject *spd_pending_type(void);

/* A Call, its id still 0, and how to set it. */
PyObject *spd_call_new(PyObject *type, PyObject *handle,
                       jsonrpcc_client *client, PyObject *method);
void spd_call_set_id(PyObject *call, uint64_t id);

#endif
