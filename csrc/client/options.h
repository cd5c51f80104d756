/* The options of a client: their defaults and their ranges. */

#ifndef JRC_OPTIONS_H
#define JRC_OPTIONS_H

#include "jsonrpcc.h"

/* Whether a newer caller's struct of size bytes asks for nothing beyond the
 * known bytes: fields that this version does not have are zero. */
bool jrc_is_known(const void *data, size_t size, size_t known);

/* Every field that is 0 gets its default; servers has none. */
void jrc_options_default(jsonrpcc_options *o);

/* False: why says which option is out of range, and what the range is.  servers
 * is not checked. */
bool jrc_options_check(const jsonrpcc_options *o, char *why, size_t why_size);

/* How many attempts to reconnect are made in a row, as in servers.h: -1 means
 * forever.  In the options that is 0, the default, and -1 means none. */
int32_t jrc_options_attempts(const jsonrpcc_options *o);

#endif
