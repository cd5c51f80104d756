/* The time for the engine, which never reads a clock itself. */

#ifndef JRC_CLOCK_H
#define JRC_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t jrc_now_us(void);

#endif
