#include "python/calls.h"

#include "python/object.h"

static const size_t owned[] = {offsetof(struct spd_calls, refuse)};

/* The queue is released before its client.  The garbage collector is not told
 * of them.  If it were, it would free both as soon as all of their owners are
 * garbage, before finalizers that still use them: cffi frees what it owns in a
 * finalizer, and their order is arbitrary.  As it is, it takes them for used
 * until their owner is cleared.  They refer to nothing that could refer to us.
 */
static const size_t kept[] = {
    offsetof(struct spd_calls, keep),
    offsetof(struct spd_calls, handle),
};

bool spd_calls_init(struct spd_calls *calls, PyObject *client, PyObject *queue,
                    PyObject *handle, PyObject *keep, PyObject *codec,
                    PyObject *refuse)
{
    if (!spd_codec_read(&calls->codec, codec))
        return false;
    calls->client = PyLong_AsVoidPtr(client);
    calls->queue = PyLong_AsVoidPtr(queue);
    calls->handle = Py_NewRef(handle);
    calls->keep = Py_NewRef(keep);
    calls->refuse = Py_NewRef(refuse);
    spd_entries_init(&calls->entries);
    return true;
}

int spd_calls_visit(const struct spd_calls *calls, visitproc visit, void *arg)
{
    int stopped = spd_visit_owned(calls, owned, SPD_COUNT(owned), visit, arg);

    if (stopped == 0)
        stopped = spd_codec_visit(&calls->codec, visit, arg);
    return stopped != 0 ? stopped
                        : spd_entries_visit(&calls->entries, visit, arg);
}

void spd_calls_clear(struct spd_calls *calls)
{
    spd_entries_clear(&calls->entries);
    spd_method_ids_clear(&calls->method_ids);
    spd_codec_clear(&calls->codec);
    spd_clear_owned(calls, owned, SPD_COUNT(owned));
    spd_clear_owned(calls, kept, SPD_COUNT(kept));
}

int64_t spd_submit(struct spd_calls *calls, const struct spd_arguments *a,
                   uint64_t token, uint32_t flags)
{
    jsonrpcc_call call = spd_as_call(a);

    call.method_id = spd_method_ids_find(&calls->method_ids, calls->client, a);
    call.token = token;
    call.flags |= flags;
    return spd_core->queue_submit(calls->queue, &call);
}

bool spd_calls_get(const struct spd_calls *calls, PyObject *token,
                   struct spd_entry *entry)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(token);

    if (PyErr_Occurred())
        return false;
    spd_entries_get(&calls->entries, number, entry);
    return true;
}

PyObject *spd_calls_discard(struct spd_calls *calls, PyObject *token)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(token);

    if (PyErr_Occurred())
        return NULL;
    spd_entries_discard(&calls->entries, number);
    Py_RETURN_NONE;
}
