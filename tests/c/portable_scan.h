/* The scanner once more, under other names, built as for a machine without
 * SSE2.  From here on, jrc_json_scan is a macro for its twin. */
#ifndef JRC_PORTABLE_SCAN_H
#define JRC_PORTABLE_SCAN_H

#include "wire/json_scan.h"

bool portable_scan(const char *text, size_t len, unsigned max_depth,
                   struct jrc_json_member *members, size_t member_count,
                   struct jrc_json_report *report);

const char *portable_value_end(const char *text, const char *end,
                               unsigned max_depth);

#ifndef JRC_NO_SIMD
#define JRC_NO_SIMD
#endif
#define jrc_json_scan portable_scan
#define jrc_json_value_end portable_value_end
#define jrc_json_set_error portable_set_error
#define jrc_json_string_rest portable_string_rest
#include "wire/json_scan.c"
#include "wire/json_string.c"

#endif
