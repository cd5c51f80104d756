/* Results as objects of the types that their callers named.
 *
 * A decoder is a jsonrpcc._types.Decoder, which says what its functions do. */

#ifndef JRC_PYTHON_DECODER_H
#define JRC_PYTHON_DECODER_H

#include "python/codec.h"
#include "python/entries.h"

/* Intern the names of a decoder's functions.  False: an exception is set. */
bool spd_decoders_init(void);

/* set_decoders(dict): the decoders that are known, by their types. */
PyObject *spd_set_decoders(PyObject *module, PyObject *known);

/* The decoder of a type, borrowed.  NULL without an exception: it is not known
 * yet. */
PyObject *spd_find_decoder(PyObject *type);

/* The object of a JSON text, which is copied: a result may refer to its text.
 * The decoder may be NULL: then it is the codec's.  NULL: an exception is
 * set. */
PyObject *spd_decode_by(PyObject *decoder, const struct spd_codec *codec,
                        const char *json, size_t len);

/* The list of the results of completions, those of the same type decoded
 * together.  NULL: one of them cannot be decoded, or an exception is set that
 * is not an Exception. */
PyObject *spd_decode_entries(const struct spd_codec *codec,
                             const struct spd_entries *entries,
                             const jsonrpcc_completions *completions);

#endif
