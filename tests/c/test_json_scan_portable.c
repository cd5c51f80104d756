/* The same tests of the scanner without SIMD. */
#include "portable_scan.h"
#include "test_json_scan.c"
