/* The time for the engine, which never reads a clock itself. */

#ifndef JRC_CLOCK_H
#define JRC_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t jrc_now_us(void);

/* The kernel's last tick, a few milliseconds ago at most, in nanoseconds: in a
 * quarter of the time, and without a division. */
uint64_t jrc_tick(void);

#endif
