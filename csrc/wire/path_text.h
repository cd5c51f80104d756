/* Paths as they stand in a servers string: up to a space, a ',' or the end.
 *
 * A byte may be written as '%' and two hex digits.  What would end an entry of
 * the servers string, or could not be printed, has to be, and so does '%'. */

#ifndef JRC_PATH_TEXT_H
#define JRC_PATH_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a path ends with this character, which is not of it. */
bool jrc_path_text_ends(char c);

/* Read a path to bytes[0..max], NUL-terminated; *len: without the NUL.  Returns
 * the end of it in text, or the place that is wrong: then *rule, which is NULL
 * otherwise, is what is expected there; "" if it is longer than max. */
const char *jrc_path_text_read(char *bytes, size_t max, size_t *len,
                               const char *text, const char **rule);

/* Write the one form that equal paths have in common, which takes up to three
 * bytes for each of theirs; NUL-terminated. */
void jrc_path_text_print(char *text, const char *bytes, size_t len);

#endif
