/* Between Python objects and JSON text, by the functions of a jsonrpcc
 * Codec. */

#ifndef JRC_PYTHON_CODEC_H
#define JRC_PYTHON_CODEC_H

#include "python/core.h"

/* The functions of a jsonrpcc._codec.Codec, which documents them. */
struct spd_codec {
    PyObject *encode, *decode, *decode_many;
    bool hides_nan, native;
};

/* False: an exception is set. */
bool spd_codec_read(struct spd_codec *codec, PyObject *object);
int spd_codec_visit(const struct spd_codec *codec, visitproc visit, void *arg);
void spd_codec_clear(struct spd_codec *codec);

/* Encoded params, as a new reference; Py_None if there are none.  NULL: they
 * are unusual, or an exception is set. */
PyObject *spd_encode(const struct spd_codec *codec, PyObject *params);

/* The object of a JSON text.  NULL: an exception is set. */
PyObject *spd_decode(const struct spd_codec *codec, const char *json,
                     size_t len);

/* The list of the results of completions.  NULL: they cannot be decoded
 * together, or an exception is set that is not an Exception. */
PyObject *spd_decode_many(const struct spd_codec *codec,
                          const jsonrpcc_completions *completions);

#endif
