/* Between Python objects and JSON text, by the functions of a jsonrpcc
 * Codec. */

#include "python/codec.h"

#include "python/object.h"

#include <string.h>

/* A shorter text is copied: that costs less than the two objects of a view. */
#define SHORT 1024

static const size_t owned[] = {
    offsetof(struct spd_codec, encode),
    offsetof(struct spd_codec, decode),
    offsetof(struct spd_codec, decode_many),
};

static bool read_attribute(PyObject *object, const char *name, PyObject **value)
{
    *value = PyObject_GetAttrString(object, name);
    return *value != NULL;
}

bool spd_codec_read(struct spd_codec *codec, PyObject *object)
{
    PyObject *hides_nan = NULL, *native = NULL;

    if (read_attribute(object, "encode", &codec->encode) &&
        read_attribute(object, "decode", &codec->decode) &&
        read_attribute(object, "decode_many", &codec->decode_many) &&
        read_attribute(object, "hides_nan", &hides_nan) &&
        read_attribute(object, "native", &native)) {
        codec->hides_nan = hides_nan == Py_True;
        codec->native = native == Py_True;
    } else {
        spd_codec_clear(codec);
    }
    Py_XDECREF(hides_nan);
    Py_XDECREF(native);
    return codec->encode != NULL;
}

int spd_codec_visit(const struct spd_codec *codec, visitproc visit, void *arg)
{
    return spd_visit_owned(codec, owned, SPD_COUNT(owned), visit, arg);
}

void spd_codec_clear(struct spd_codec *codec)
{
    spd_clear_owned(codec, owned, SPD_COUNT(owned));
}

static bool has_null(const char *text, size_t len)
{
    const char *end = text + len;

    while ((text = memchr(text, 'n', (size_t)(end - text))) != NULL) {
        if (end - text >= 4 && memcmp(text, "null", 4) == 0)
            return true;
        text++;
    }
    return false;
}

PyObject *spd_encode(const struct spd_codec *codec, PyObject *params)
{
    char *bytes;
    Py_ssize_t len;

    if (params == NULL || params == Py_None)
        return Py_NewRef(Py_None);
    if (!PyDict_CheckExact(params) && !PyList_CheckExact(params) &&
        !PyTuple_CheckExact(params))
        return NULL;
    PyObject *text = PyObject_CallFunctionObjArgs(codec->encode, params, NULL);
    /* Python code tries again, and reports the position. */
    if (text == NULL && (PyErr_ExceptionMatches(PyExc_RecursionError) ||
                         PyErr_ExceptionMatches(PyExc_TypeError) ||
                         PyErr_ExceptionMatches(PyExc_ValueError)))
        PyErr_Clear();
    if (text == NULL)
        return NULL;
    if (!PyBytes_CheckExact(text) ||
        PyBytes_AsStringAndSize(text, &bytes, &len) != 0 ||
        (codec->hides_nan && has_null(bytes, (size_t)len))) {
        Py_DECREF(text);
        return NULL;
    }
    return text;
}

static PyObject *decode(const struct spd_codec *codec, PyObject *function,
                        const char *json, size_t len)
{
    Py_ssize_t size = (Py_ssize_t)len;
    PyObject *text = len < SHORT || !codec->native
                         ? PyBytes_FromStringAndSize(json, size)
                         : PyMemoryView_FromMemory((char *)(uintptr_t)json,
                                                   size, PyBUF_READ);

    if (text == NULL)
        return NULL;
    /* Everything created here is part of the result: the garbage collector
     * would visit it again and again, and find nothing. */
    int was_enabled = codec->native ? PyGC_Disable() : 0;
    PyObject *result = PyObject_CallFunctionObjArgs(function, text, NULL);
    if (was_enabled)
        PyGC_Enable();
    Py_DECREF(text);
    return result;
}

PyObject *spd_decode(const struct spd_codec *codec, const char *json,
                     size_t len)
{
    return decode(codec, codec->decode, json, len);
}

PyObject *spd_decode_many(const struct spd_codec *codec,
                          const jsonrpcc_completions *completions)
{
    PyObject *results = decode(codec, codec->decode_many, completions->results,
                               completions->results_len);

    if (results != NULL &&
        (!PyList_CheckExact(results) ||
         PyList_Size(results) != (Py_ssize_t)completions->count))
        Py_CLEAR(results);
    /* An interrupt is not the codec's error. */
    if (results == NULL && PyErr_Occurred() &&
        PyErr_ExceptionMatches(PyExc_Exception))
        PyErr_Clear();
    return results;
}
