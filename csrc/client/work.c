#include "client/work.h"

#include "client/consumer.h"

static uint64_t sooner(uint64_t one_us, uint64_t other_us)
{
    return one_us < other_us ? one_us : other_us;
}

bool jrc_has_work(const struct jrc_core *core)
{
    return !jrc_frames_empty(&core->submission.pending) ||
           core->submission.calls.cancels != JRC_NO_CALL ||
           core->submission.servers != NULL || core->submission.has_hello ||
           core->listener.wants_replay || core->turn.deferred != NULL ||
           (core->life.closing && !core->turn.close_begun);
}

uint64_t jrc_next_turn_us(const struct jrc_core *core)
{
    if (!core->turn.reading && jrc_consumer_has_caught_up(core))
        return 0;
    uint64_t next_us = jrc_engine_next_us(&core->engine);
    return core->tls_context == NULL
               ? next_us
               : sooner(next_us, jrc_tls_context_next_us(core->tls_context));
}
