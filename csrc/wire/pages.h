/* Zeroed memory that costs nothing until it is touched.
 *
 * calloc() seems to promise that.  But once a process has freed a large block,
 * glibc serves the next ones from its heap and writes the zeros: thirty clients
 * then took a gigabyte for tables that they never used. */

#ifndef JRC_WIRE_PAGES_H
#define JRC_WIRE_PAGES_H

#include <stddef.h>

/* A table of count elements of size bytes, all zero.  NULL: out of memory. */
void *jrc_pages_new(size_t count, size_t size);

/* Release what jrc_pages_new() returned for the same arguments; NULL is
 * ignored. */
void jrc_pages_free(void *pages, size_t count, size_t size);

#endif
