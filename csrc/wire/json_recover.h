/* What can still be found in JSON text that the scanner refused. */
#ifndef JRC_JSON_RECOVER_H
#define JRC_JSON_RECOVER_H

#include "wire/json_text.h"

/* Find members in text that jrc_json_scan() refused, to identify the call it
 * was meant for.  Returns whether any was found.
 *
 * Strings are skipped and brackets counted; nothing is validated, at any depth.
 * type is a guess from the first byte of the value, or NONE if there is none.
 * The span is everything up to the comma or brace that ends the value, so check
 * it before use.  A value that is cut off by the end of the text or a stray
 * bracket is not reported, so that "id":12 is not read from "id":123. */
bool jrc_json_salvage(const char *text, size_t len,
                      struct jrc_json_member *members, size_t member_count);

#endif
