/* The arguments of a call: the usual ones, and what Python code makes of
 * others. */

#include "python/arguments.h"

#include <math.h>
#include <string.h>

/* The keywords of a call, interned, so that callers' names are the same
 * objects. */
static PyObject *params_, *on_result_, *on_error_, *timeout_, *block_;
static PyObject *result_type_;

/* The options of a call that are flags. */
static struct {
    const char *text;
    uint32_t flag;
    bool of_notifications; /* too */
    PyObject *name;
} options[] = {
    {"idempotent", JSONRPCC_IDEMPOTENT, false, NULL},
    {"wait_for_ready", JSONRPCC_WAIT_FOR_READY, true, NULL},
};

enum { OPTIONS = sizeof options / sizeof options[0] };

static bool intern(PyObject **name, const char *text)
{
    *name = PyUnicode_InternFromString(text);
    return *name != NULL;
}

bool spd_keywords_init(void)
{
    for (int i = 0; i < OPTIONS; i++)
        if (!intern(&options[i].name, options[i].text))
            return false;
    return intern(&params_, "params") && intern(&on_result_, "on_result") &&
           intern(&on_error_, "on_error") && intern(&timeout_, "timeout") &&
           intern(&block_, "block") && intern(&result_type_, "result_type");
}

/* A bool as a flag.  False: it is something else, which Python would take for
 * one. */
static bool read_flag(PyObject *value, uint32_t flag, uint32_t *flags)
{
    if (value == Py_True)
        *flags |= flag;
    return value == Py_True || value == Py_False;
}

/* Seconds to milliseconds, rounded up, like
 * jsonrpcc._options.milliseconds(). */
static bool read_timeout(PyObject *value, int32_t *ms)
{
    if (value == Py_None) {
        *ms = 0;
        return true;
    }
    if (!PyFloat_CheckExact(value))
        return false;
    double seconds = PyFloat_AsDouble(value);
    if (!(seconds > 0 && seconds <= INT32_MAX / 1000))
        return false;
    *ms = (int32_t)ceil(seconds * 1000);
    return true;
}

static bool read_method(struct spd_arguments *a, PyObject *method)
{
    a->method = method;
    a->method_text = PyUnicode_AsUTF8AndSize(method, &a->method_len);
    return a->method_text != NULL;
}

static bool read_keyword(struct spd_arguments *a, const struct spd_style *style,
                         PyObject *name, PyObject *value)
{
    if (name == timeout_)
        return read_timeout(value, &a->timeout_ms);
    for (int i = 0; i < OPTIONS; i++)
        if (name == options[i].name)
            return (options[i].of_notifications || !style->notification) &&
                   read_flag(value, options[i].flag, &a->flags);
    if (name == result_type_ && !style->notification) {
        a->decoder = value == Py_None ? NULL : spd_find_decoder(value);
        return value == Py_None || a->decoder != NULL;
    }
    if (name == block_ && style->block) {
        a->block = value == Py_True;
        return value == Py_True || value == Py_False;
    }
    if (name == on_result_ && style->callbacks && a->on_result == NULL)
        a->on_result = value;
    else if (name == on_error_ && style->callbacks && a->on_error == NULL)
        a->on_error = value;
    else if (name == params_ && a->params == NULL)
        a->params = value;
    else
        return false;
    return true;
}

/* False without an exception: the arguments are unusual. */
static bool read_usual(struct spd_arguments *a, const struct spd_style *style,
                       PyObject *const *args, Py_ssize_t n, PyObject *kwnames)
{
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_Size(kwnames);

    if (n < 1 || n > style->most || !PyUnicode_CheckExact(args[0]))
        return false;
    a->params = n > 1 ? args[1] : NULL;
    a->on_result = n > 2 ? args[2] : NULL;
    a->on_error = n > 3 ? args[3] : NULL;
    for (Py_ssize_t i = 0; i < named; i++)
        if (!read_keyword(a, style, PyTuple_GetItem(kwnames, i), args[n + i]))
            return false;
    if (read_method(a, args[0]))
        return true;
    PyErr_Clear();
    return false;
}

PyObject *spd_call_with(PyObject *function, PyObject *const *args, Py_ssize_t n,
                        PyObject *kwnames)
{
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_Size(kwnames);
    PyObject *positional = PyTuple_New(n);
    PyObject *keywords = PyDict_New();
    PyObject *result = NULL;

    if (positional != NULL && keywords != NULL) {
        for (Py_ssize_t i = 0; i < n; i++)
            PyTuple_SetItem(positional, i, Py_NewRef(args[i]));
        Py_ssize_t i = 0;
        while (i < named &&
               PyDict_SetItem(keywords, PyTuple_GetItem(kwnames, i),
                              args[n + i]) == 0)
            i++;
        if (i == named)
            result = PyObject_Call(function, positional, keywords);
    }
    Py_XDECREF(positional);
    Py_XDECREF(keywords);
    return result;
}

bool spd_read_prepared(struct spd_arguments *a, PyObject *prepared)
{
    PyObject *method, *decoder;
    int block;

    *a = (struct spd_arguments){.owner = prepared};
    if (prepared != NULL && !PyTuple_Check(prepared))
        PyErr_SetString(PyExc_TypeError, "not a prepared call");
    else if (prepared != NULL &&
             PyArg_ParseTuple(prepared, "UOiIpOOO|S", &method, &a->text,
                              &a->timeout_ms, &a->flags, &block, &a->on_result,
                              &a->on_error, &decoder, &a->members) &&
             read_method(a, method)) {
        a->block = block != 0;
        a->decoder = decoder == Py_None ? NULL : Py_NewRef(decoder);
        Py_INCREF(a->text);
        return true;
    }
    Py_XDECREF(prepared);
    return false;
}

bool spd_read_usual(struct spd_arguments *a, const struct spd_style *style,
                    const struct spd_codec *codec, PyObject *const *args,
                    Py_ssize_t n, PyObject *kwnames)
{
    *a = (struct spd_arguments){.block = true};
    if (read_usual(a, style, args, n, kwnames)) {
        Py_XINCREF(a->decoder); /* those that are known may change */
        a->text = spd_encode(codec, a->params);
        if (a->text == NULL)
            Py_CLEAR(a->decoder);
    }
    return a->text != NULL;
}

bool spd_read(struct spd_arguments *a, const struct spd_style *style,
              const struct spd_codec *codec, PyObject *read,
              PyObject *const *args, Py_ssize_t n, PyObject *kwnames)
{
    return spd_read_usual(a, style, codec, args + 1, n - 1, kwnames) ||
           (!PyErr_Occurred() &&
            spd_read_prepared(a, spd_call_with(read, args, n, kwnames)));
}

void spd_arguments_clear(struct spd_arguments *a)
{
    Py_CLEAR(a->decoder);
    Py_CLEAR(a->text);
    Py_CLEAR(a->owner);
}

void spd_text(PyObject *text, char **bytes, size_t *len)
{
    Py_ssize_t size = 0;

    *bytes = NULL;
    if (text != Py_None)
        PyBytes_AsStringAndSize(text, bytes, &size);
    *len = (size_t)size;
}

jsonrpcc_call spd_as_call(const struct spd_arguments *a)
{
    char *params, *members = NULL;
    size_t len, members_len = 0;

    spd_text(a->text, &params, &len);
    if (a->members != NULL)
        spd_text(a->members, &members, &members_len);
    return (jsonrpcc_call){
        .size = sizeof(jsonrpcc_call),
        .method = a->method_text,
        .method_len = (size_t)a->method_len,
        .params = params,
        .params_len = len,
        .timeout_ms = a->timeout_ms,
        .flags = a->flags,
        .since_us = a->since_us,
        .members = members,
        .members_len = members_len,
    };
}

void spd_refuse(PyObject *refuse, jsonrpcc_status status,
                const struct spd_arguments *a)
{
    PyObject *error = PyObject_CallFunction(refuse, "iOOI", (int)status,
                                            a->method, a->text, a->flags);

    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}
