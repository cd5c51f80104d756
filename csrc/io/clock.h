/* The time, which is passed to the engine: it never reads a clock. */

#ifndef JRC_CLOCK_H
#define JRC_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t jrc_now_us(void);

#endif
