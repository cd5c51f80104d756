/* Times that vary by chance, so that many clients do not all act at once.
 *
 * The caller brings the dice, any of 0 to UINT32_MAX, so that a test is
 * arithmetic.  No product overflows, for a time of thousands of years. */

#ifndef JRC_CHANCE_H
#define JRC_CHANCE_H

#include <stdint.h>

/* From none of us to all of it. */
static inline uint64_t jrc_chance_part(uint64_t us, uint32_t dice)
{
    return us / UINT32_MAX * dice + us % UINT32_MAX * dice / UINT32_MAX;
}

/* From low to high percent of us. */
static inline uint64_t jrc_chance_between(uint64_t us, uint32_t low,
                                          uint32_t high, uint32_t dice)
{
    return us / 100 * low + jrc_chance_part(us / 100 * (high - low), dice);
}

#endif
