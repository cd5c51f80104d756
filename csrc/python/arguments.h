/* The arguments of a call: the usual ones, and what Python code makes of
 * others. */

#ifndef JRC_PYTHON_ARGUMENTS_H
#define JRC_PYTHON_ARGUMENTS_H

#include "python/decoder.h"

/* What a style of call accepts. */
struct spd_style {
    Py_ssize_t most;   /* positional arguments */
    bool notification; /* without the options that need a response */
    bool callbacks, block;
};

/* A call's arguments, ready to be submitted.  Everything but decoder, text and
 * owner is borrowed: from the caller's arguments, or from owner. */
struct spd_arguments {
    PyObject *method, *params, *on_result, *on_error; /* NULL or None: none */
    int32_t timeout_ms;
    uint32_t flags;
    uint64_t since_us; /* as of jsonrpcc_call */
    bool block;        /* the caller waits for room */
    const char *method_text;
    Py_ssize_t method_len;
    PyObject *decoder; /* of the result, owned; NULL: the codec */
    PyObject *text;    /* the encoded params, or None */
    PyObject *members; /* as of jsonrpcc_call, bytes of owner; NULL: none */
    PyObject *owner;   /* what Python code made of unusual arguments, or NULL */
};

/* Intern the keywords.  False: an exception is set. */
bool spd_keywords_init(void);

/* function(*args, **kwargs) for the arguments of a vectorcall. */
PyObject *spd_call_with(PyObject *function, PyObject *const *args, Py_ssize_t n,
                        PyObject *kwnames);

/* Read the arguments of a method, without its object, if they are usual.
 * False: they are not, or an exception is set. */
bool spd_read_usual(struct spd_arguments *arguments,
                    const struct spd_style *style,
                    const struct spd_codec *codec, PyObject *const *args,
                    Py_ssize_t n, PyObject *kwnames);

/* Read the arguments of a method, its object first, usual or not.  Unusual ones
 * are read by Python code, read(*args, **kwargs), which returns what
 * jsonrpcc._params.Texts.prepare() does, or raises.  False: an exception is
 * set, and there is nothing to clear. */
bool spd_read(struct spd_arguments *arguments, const struct spd_style *style,
              const struct spd_codec *codec, PyObject *read,
              PyObject *const *args, Py_ssize_t n, PyObject *kwnames);

/* Read what Python code made of unusual arguments; steals it.  Returns as
 * above. */
bool spd_read_prepared(struct spd_arguments *arguments, PyObject *prepared);
void spd_arguments_clear(struct spd_arguments *arguments);

/* The call as the core takes it; it borrows from the arguments. */
jsonrpcc_call spd_as_call(const struct spd_arguments *arguments);

/* The bytes of spd_arguments.text. */
void spd_text(PyObject *text, char **bytes, size_t *len);

/* Raise what refuse(status, method, text, flags) returns. */
void spd_refuse(PyObject *refuse, jsonrpcc_status status,
                const struct spd_arguments *arguments);

#endif
