/* The options of a client: their defaults and their ranges. */

#ifndef JRC_OPTIONS_H
#define JRC_OPTIONS_H

#include "jsonrpcc.h"

/* Give every field that is 0 its default; servers has none. */
void jrc_options_default(jsonrpcc_options *o);

/* Check all options but servers.  False: why says which one is out of range,
 * and what the range is. */
bool jrc_options_check(const jsonrpcc_options *o, char *why, size_t why_size);

/* How many attempts to reconnect are made in a row, as in servers.h: -1 means
 * forever.  In the options, that is 0, the default, and -1 means none. */
int32_t jrc_options_attempts(const jsonrpcc_options *o);

/* How many methods are counted one by one: 0 means none.  In the options that
 * is -1. */
uint32_t jrc_options_methods(const jsonrpcc_options *o);

#endif
