/* What can still be found in JSON text that the scanner refused. */
#ifndef JRC_JSON_RECOVER_H
#define JRC_JSON_RECOVER_H

#include "wire/json_text.h"

/* Find members in text that jrc_json_scan() refused, so that the call it was
 * meant for can be told.  True if any was found.
 *
 * Strings are skipped, brackets counted, nothing is validated, at any depth.
 * type is a guess from the first byte of the value, NONE if there is none; the
 * span is everything up to the comma or brace that ends the value, so check it
 * before use.  A value which the text or a stray bracket cuts off is not
 * reported, lest "id":12 be taken from "id":123. */
bool jrc_json_salvage(const char *text, size_t len,
                      struct jrc_json_member *members, size_t member_count);

#endif
