/* What the readers of JSON text share: bytes, and how members are found. */
#ifndef JRC_JSON_TEXT_H
#define JRC_JSON_TEXT_H

#include "wire/json_scan.h"

/* For the few branches per byte that the scanner's speed hangs on. */
#define JRC_INLINE static inline __attribute__((always_inline))
#define JRC_LIKELY(condition) __builtin_expect((condition) ? 1 : 0, 1)
#define JRC_UNLIKELY(condition) __builtin_expect((condition) ? 1 : 0, 0)

/* The type that a value has by its first byte; NONE if none begins so. */
extern const unsigned char jrc_json_type_of[256];

/* The first byte from p on that is no white space, or end. */
const unsigned char *jrc_json_skip_run(const unsigned char *p,
                                       const unsigned char *end);

/* The same, where there is rarely any. */
JRC_INLINE const unsigned char *jrc_json_skip_space(const unsigned char *p,
                                                    const unsigned char *end)
{
    if (JRC_UNLIKELY(p < end && *p <= ' '))
        return jrc_json_skip_run(p, end);
    return p;
}

bool jrc_json_is_space(unsigned char c);

/* The value of a hexadecimal digit, or -1. */
int jrc_json_hex_value(unsigned char c);

/* Make all members absent. */
void jrc_json_members_reset(struct jrc_json_member *members, size_t count);

/* Count the member called name[0..len), as it stands between its quotes.  NULL
 * if it is not wanted, or not the first of this name.  Any bytes will do. */
struct jrc_json_member *jrc_json_members_find(struct jrc_json_member *members,
                                              size_t count,
                                              const unsigned char *name,
                                              size_t len);

#endif
