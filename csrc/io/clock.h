/* The time, which the engine is told and never asks for. */

#ifndef JRC_CLOCK_H
#define JRC_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t jrc_now_us(void);

#endif
