/* The same, with several connections to each server, which are replaced when
 * they reach their age. */
#define CONNECTIONS 3
#define AGE_MS 1000
#define CHANGE_MS 250
#define SELDOM 100
#include "test_list_changes.c"
