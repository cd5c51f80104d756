/* Structs that a caller fills and that grow from version to version. */

#ifndef JRC_GROWTH_H
#define JRC_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether a newer caller's struct of size bytes asks for nothing beyond the
 * known bytes: fields that this version does not have are zero. */
static inline bool jrc_is_known(const void *data, size_t size, size_t known)
{
    const char *bytes = data;

    for (size_t i = known; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Copy a caller's struct of size bytes to ours of known bytes; fields that the
 * caller does not have become zero.  False: see jrc_is_known(). */
static inline bool jrc_growth_copy(void *ours, size_t known, const void *theirs,
                                   size_t size)
{
    memset(ours, 0, known);
    memcpy(ours, theirs, size < known ? size : known);
    return jrc_is_known(theirs, size, known);
}

/* The other way round: fill a caller's struct.  It gets the fields that it
 * knows, and zero for those that we do not. */
static inline void jrc_growth_give(void *theirs, size_t size, const void *ours,
                                   size_t known)
{
    memcpy(theirs, ours, size < known ? size : known);
    if (size > known)
        memset((char *)theirs + known, 0, size - known);
}

#endif
