/* What a client may be told: what zero stands for, and what is too much. */

#ifndef JRC_OPTIONS_H
#define JRC_OPTIONS_H

#include "jsonrpcc.h"

/* Whether a newer caller's struct of size bytes asks for nothing beyond the
 * known ones: fields that this version does not have are zero. */
bool jrc_is_known(const void *data, size_t size, size_t known);

/* Every field that is 0 gets its default; servers has none. */
void jrc_options_default(jsonrpcc_options *o);

/* False: why says which is out of range, and what the range is.  servers is
 * not looked at. */
bool jrc_options_check(const jsonrpcc_options *o, char *why, size_t why_size);

/* How often a server is tried again in a row, as servers.h has it: -1 forever.
 * Among the options that is 0, the default, and -1 stands for none. */
int32_t jrc_options_attempts(const jsonrpcc_options *o);

#endif
