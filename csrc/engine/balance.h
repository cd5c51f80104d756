/* Weighted round robin: earliest deadline first.
 *
 * A share is due for the n-th time, counted from 0, at (2n + 1) / weight; the
 * one that is due first is next.  That is a schedule with a period of the sum
 * of weights: of so many picks in a row each share has exactly its weight, and
 * they are spread evenly. */

#ifndef JRC_BALANCE_H
#define JRC_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JRC_SHARE_NEW UINT32_MAX

struct jrc_share {
    uint32_t server;
    uint32_t weight; /* 1 to 6553500: see jrc_answer_sort() */
    uint32_t picked; /* in this period; JRC_SHARE_NEW: see jrc_shares_begin() */
};

/* A heap, with the share that is next as its first. */
struct jrc_shares {
    struct jrc_share *list;
    size_t count;
    uint64_t sum;    /* of weights */
    uint64_t picked; /* in this period */
};

/* Put the list in order.  A share that is new joins the others where they are
 * in their period, and not at its beginning: it would be picked alone for a
 * while. */
void jrc_shares_begin(struct jrc_shares *shares);

/* Whether the first of two shares is due before the second. */
bool jrc_share_is_sooner(const struct jrc_share *a, const struct jrc_share *b);

/* The share at this place of the heap was picked. */
void jrc_shares_pick(struct jrc_shares *shares, size_t at);

#endif
