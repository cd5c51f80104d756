/* The names of the methods that are counted one by one.
 *
 * Used by any thread, without a lock: one that another thread held during a
 * fork() would be held in the child for ever. */

#ifndef JRC_METHOD_NAMES_H
#define JRC_METHOD_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { JRC_METHODS_MAX = 4096, JRC_METHOD_NAME_MAX = 255 };

struct jrc_method_names;

/* Room for so many names.  NULL: out of memory. */
struct jrc_method_names *jrc_method_names_new(uint32_t most);
void jrc_method_names_free(struct jrc_method_names *names);

/* The number of a name, from 1 on; a new name gets the next one.  0: there are
 * enough names already, it is longer than JRC_METHOD_NAME_MAX, or out of
 * memory. */
uint16_t jrc_method_names_find(struct jrc_method_names *names, const char *text,
                               size_t len);

/* How many there are. */
uint32_t jrc_method_names_count(const struct jrc_method_names *names);

/* The name with that number, NUL-terminated; NULL: there is none. */
const char *jrc_method_names_get(const struct jrc_method_names *names,
                                 uint32_t number, size_t *len);

#endif
