#include "python/decoder.h"

#include <stdlib.h>
#include <string.h>

static PyObject *decoders; /* the one dict of the process */
static PyObject *decode_, *decode_many_;

bool spd_decoders_init(void)
{
    decode_ = PyUnicode_InternFromString("decode");
    decode_many_ = PyUnicode_InternFromString("decode_many");
    return decode_ != NULL && decode_many_ != NULL;
}

PyObject *spd_set_decoders(PyObject *module, PyObject *known)
{
    (void)module;
    if (!PyDict_Check(known)) {
        PyErr_SetString(PyExc_TypeError, "set_decoders() takes a dict");
        return NULL;
    }
    Py_XDECREF(decoders);
    decoders = Py_NewRef(known);
    Py_RETURN_NONE;
}

PyObject *spd_find_decoder(PyObject *type)
{
    PyObject *found =
        decoders == NULL ? NULL : PyDict_GetItemWithError(decoders, type);

    /* What cannot be hashed is not known.  Python code says more. */
    if (found == NULL)
        PyErr_Clear();
    return found;
}

/* decoder.name(text); steals text, which may be NULL. */
static PyObject *run(PyObject *decoder, PyObject *name, PyObject *text)
{
    PyObject *result =
        text == NULL ? NULL
                     : PyObject_CallMethodObjArgs(decoder, name, text, NULL);

    Py_XDECREF(text);
    return result;
}

PyObject *spd_decode_by(PyObject *decoder, const struct spd_codec *codec,
                        const char *json, size_t len)
{
    if (decoder == NULL)
        return spd_decode(codec, json, len);
    return run(decoder, decode_,
               PyBytes_FromStringAndSize(json, (Py_ssize_t)len));
}

static bool is_list_of(PyObject *results, size_t count)
{
    return results != NULL && PyList_CheckExact(results) &&
           PyList_Size(results) == (Py_ssize_t)count;
}

/* The decoder that all results have, borrowed; NULL: they have several, or
 * the codec's. */
static PyObject *common_decoder(const struct spd_entries *entries,
                                const jsonrpcc_completions *completions)
{
    PyObject *common = NULL;
    struct spd_entry entry;

    for (size_t i = 0; i < completions->count; i++) {
        spd_entries_get(entries, completions->tokens[i], &entry);
        if (entry.method == NULL || entry.decoder == NULL ||
            (common != NULL && common != entry.decoder))
            return NULL;
        common = entry.decoder;
    }
    return common;
}

/* The list of the results, which all have this decoder: the core has them as
 * one array. */
static PyObject *decode_alike(PyObject *decoder,
                              const jsonrpcc_completions *completions)
{
    /* Held: its entries may go while it runs. */
    Py_INCREF(decoder);
    PyObject *results =
        run(decoder, decode_many_,
            PyBytes_FromStringAndSize(completions->results,
                                      (Py_ssize_t)completions->results_len));
    Py_DECREF(decoder);
    if (!is_list_of(results, completions->count))
        Py_CLEAR(results);
    return results;
}

/* The results of a fetch: which decoder each has, and where they go. */
struct fetch {
    const struct spd_codec *codec;
    const jsonrpcc_completions *completions;
    PyObject **decoders; /* NULL: the codec's */
    bool *done;
    PyObject *results;
};

/* The JSON text of an array of the results from the first on that have its
 * decoder. */
static PyObject *text_of(const struct fetch *fetch, size_t first, size_t *count)
{
    const jsonrpcc_completions *completions = fetch->completions;
    size_t size, room = 1;

    *count = 0;
    for (size_t i = first; i < completions->count; i++) {
        if (fetch->decoders[i] != fetch->decoders[first])
            continue;
        spd_core->completions_result(completions, i, &size);
        room += size + 1;
        ++*count;
    }
    PyObject *text = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room);
    char *at = text == NULL ? NULL : PyBytes_AsString(text);
    if (at == NULL)
        return NULL;
    *at++ = '[';
    for (size_t i = first; i < completions->count; i++) {
        if (fetch->decoders[i] != fetch->decoders[first])
            continue;
        const char *json = spd_core->completions_result(completions, i, &size);
        memcpy(at, json, size);
        at += size;
        *at++ = ',';
    }
    at[-1] = ']';
    return text;
}

/* Decode the results from the first on that have its decoder. */
static bool decode_group(struct fetch *fetch, size_t first)
{
    PyObject *decoder = fetch->decoders[first];
    size_t count;
    PyObject *text = text_of(fetch, first, &count);
    PyObject *group;

    if (decoder != NULL) {
        group = run(decoder, decode_many_, text);
    } else {
        group = text == NULL ? NULL
                             : PyObject_CallFunctionObjArgs(
                                   fetch->codec->decode_many, text, NULL);
        Py_XDECREF(text);
    }
    bool good = is_list_of(group, count);
    Py_ssize_t at = 0;
    for (size_t i = first; good && i < fetch->completions->count; i++) {
        if (fetch->decoders[i] != decoder)
            continue;
        PyList_SetItem(fetch->results, (Py_ssize_t)i,
                       Py_NewRef(PyList_GetItem(group, at++)));
        fetch->done[i] = true;
    }
    Py_XDECREF(group);
    return good;
}

/* The decoders are held: the entries may change while they run. */
static bool begin(struct fetch *fetch, const struct spd_entries *entries)
{
    size_t count = fetch->completions->count;
    struct spd_entry entry;

    fetch->decoders = calloc(count, sizeof *fetch->decoders);
    fetch->done = calloc(count, sizeof *fetch->done);
    fetch->results = PyList_New((Py_ssize_t)count);
    if (fetch->decoders == NULL || fetch->done == NULL ||
        fetch->results == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        spd_entries_get(entries, fetch->completions->tokens[i], &entry);
        if (entry.method != NULL && entry.decoder != NULL)
            fetch->decoders[i] = Py_NewRef(entry.decoder);
    }
    return true;
}

/* The list of results that have several decoders. */
static PyObject *decode_unlike(const struct spd_codec *codec,
                               const struct spd_entries *entries,
                               const jsonrpcc_completions *completions)
{
    struct fetch fetch = {.codec = codec, .completions = completions};
    size_t count = completions->count;
    bool good = begin(&fetch, entries);

    for (size_t i = 0; good && i < count; i++)
        good = fetch.done[i] || decode_group(&fetch, i);
    for (size_t i = 0; fetch.decoders != NULL && i < count; i++)
        Py_XDECREF(fetch.decoders[i]);
    free(fetch.decoders);
    free(fetch.done);
    if (!good)
        Py_CLEAR(fetch.results);
    return fetch.results;
}

PyObject *spd_decode_entries(const struct spd_codec *codec,
                             const struct spd_entries *entries,
                             const jsonrpcc_completions *completions)
{
    if (entries->typed == 0)
        return spd_decode_many(codec, completions);
    PyObject *common = common_decoder(entries, completions);
    PyObject *results = common != NULL
                            ? decode_alike(common, completions)
                            : decode_unlike(codec, entries, completions);
    if (results == NULL && PyErr_Occurred() &&
        PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_Clear();
    return results;
}
