#include "engine/spares.h"

#include "engine/pool.h"
#include "engine/subset.h"

static void move(struct jrc_engine *engine, uint32_t i, uint64_t now_us)
{
    if (engine->servers->list[i].move == JRC_RELEASED) {
        jrc_servers_release(engine->servers, i, now_us);
        jrc_servers_regroup(engine->servers);
        jrc_pool_release(engine, i);
    } else if (engine->servers->list[i].move == JRC_RETURNS) {
        jrc_servers_reclaim(engine->servers, i, now_us);
        jrc_servers_regroup(engine->servers);
        jrc_pool_join(engine, i, now_us);
    }
}

void jrc_spares_tick(struct jrc_engine *engine, uint64_t now_us)
{
    engine->servers->subset.due_us = JRC_NEVER; /* this is the turn for it */
    jrc_subset_update(engine->servers, now_us);
    for (uint32_t i = 0; i < engine->servers->count; i++)
        move(engine, i, now_us);
    jrc_subset_update(engine->servers, now_us);
    jrc_engine_attend(engine, now_us); /* others are to be connected to */
}
