/* The same tests of the same scanner, built as for a machine without SSE2. */
#ifndef JRC_NO_SIMD
#define JRC_NO_SIMD
#endif
#include "json_scan.c"
#include "json_string.c"
#include "test_json_scan.c"
