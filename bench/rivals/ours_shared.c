/* The same as ours.c, linked with the shared library as users link it. */
#include "ours.c"
