/* Zeroed memory that costs nothing where it is never touched.
 *
 * calloc() looks as if it promised that.  But once a process has freed a large
 * block, glibc serves the next ones from its heap, and writes the zeros: thirty
 * clients then took a gigabyte for tables that they never used. */

#ifndef JRC_WIRE_PAGES_H
#define JRC_WIRE_PAGES_H

#include <stddef.h>

/* A table of count elements of that size, all zero.  NULL: no memory. */
void *jrc_pages_new(size_t count, size_t size);

/* Release what jrc_pages_new() gave for this count and size; NULL is ignored.
 */
void jrc_pages_free(void *pages, size_t count, size_t size);

#endif
