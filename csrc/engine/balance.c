#include "engine/balance.h"

bool jrc_share_is_sooner(const struct jrc_share *a, const struct jrc_share *b)
{
    uint64_t left = (2 * (uint64_t)a->picked + 1) * b->weight;
    uint64_t right = (2 * (uint64_t)b->picked + 1) * a->weight;

    return left != right ? left < right : a->server < b->server;
}

static void sift_down(struct jrc_shares *shares, size_t at)
{
    struct jrc_share moved = shares->list[at];

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= shares->count)
            break;
        if (child + 1 < shares->count &&
            jrc_share_is_sooner(&shares->list[child + 1], &shares->list[child]))
            child++;
        if (!jrc_share_is_sooner(&shares->list[child], &moved))
            break;
        shares->list[at] = shares->list[child];
        at = child;
    }
    shares->list[at] = moved;
}

static void sort(struct jrc_shares *shares)
{
    for (size_t i = shares->count / 2; i-- > 0;)
        sift_down(shares, i);
}

static void end_period(struct jrc_shares *shares)
{
    shares->picked = 0;
    for (size_t i = 0; i < shares->count; i++)
        shares->list[i].picked = 0;
    sort(shares);
}

void jrc_shares_begin(struct jrc_shares *shares)
{
    uint64_t picked = 0, old_sum = 0;

    shares->sum = shares->picked = 0;
    for (size_t i = 0; i < shares->count; i++) {
        struct jrc_share *share = &shares->list[i];
        shares->sum += share->weight;
        if (share->picked == JRC_SHARE_NEW)
            continue;
        picked += share->picked;
        old_sum += share->weight;
    }
    for (size_t i = 0; i < shares->count; i++) {
        struct jrc_share *share = &shares->list[i];
        if (share->picked == JRC_SHARE_NEW)
            share->picked =
                old_sum == 0 ? 0 : (uint32_t)(picked * share->weight / old_sum);
        shares->picked += share->picked;
    }
    if (shares->picked >= shares->sum)
        end_period(shares);
    else
        sort(shares);
}

void jrc_shares_pick(struct jrc_shares *shares, size_t at)
{
    shares->list[at].picked++;
    shares->picked++;
    if (shares->picked >= shares->sum)
        end_period(shares);
    else
        sift_down(shares, at);
}
