/* Counters that one thread at a time advances and any thread reads: relaxed
 * loads and stores, so that counting costs no more than a plain addition. */

#ifndef JRC_COUNTERS_H
#define JRC_COUNTERS_H

#include "jsonrpcc.h"

#include <stdatomic.h>
#include <stdint.h>

/* What became of the calls of a method, or of those of all others. */
struct jrc_tally {
    _Atomic uint64_t outcomes[JSONRPCC_EDEADLK + 1]; /* by status */
    _Atomic uint64_t latency[JSONRPCC_LATENCY_BUCKETS];
    _Atomic uint64_t latency_sum_us;
};

struct jrc_counters {
    _Atomic uint64_t resent;
    _Atomic uint64_t moved;
    _Atomic uint64_t unmatched;
    _Atomic uint64_t ignored;
    _Atomic uint64_t bad_frames;
    _Atomic uint64_t rejected;
    _Atomic uint64_t lookups, lookups_failed, list_changes;
    _Atomic uint64_t hellos, hellos_failed, pings, pings_failed;
    _Atomic uint64_t events[JSONRPCC_EVENT_KINDS]; /* by kind */
};

static inline void jrc_add(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

static inline uint64_t jrc_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Four buckets an octave: 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 ... us.
 * Bucket i holds latencies in [bound(i - 1), bound(i)). */
static inline uint64_t jrc_bucket_bound(uint32_t bucket)
{
    if (bucket >= JSONRPCC_LATENCY_BUCKETS - 1)
        return UINT64_MAX;
    if (bucket < 4)
        return bucket + 1;
    return (uint64_t)(bucket % 4 + 5) << (bucket / 4 - 1);
}

static inline uint32_t jrc_bucket(uint64_t us)
{
    if (us < 4)
        return (uint32_t)us;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll(us);
    uint32_t bucket = (octave - 1) * 4 + (uint32_t)((us >> (octave - 2)) & 3);
    return bucket < JSONRPCC_LATENCY_BUCKETS ? bucket
                                             : JSONRPCC_LATENCY_BUCKETS - 1;
}

#endif
