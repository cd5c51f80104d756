#include "client/stats.h"

#include <string.h>

void jrc_core_stats(struct jrc_core *core, jsonrpcc_stats *stats)
{
    const struct jrc_counters *counters = &core->engine.counters;
    const struct {
        uint64_t *to;
        jsonrpcc_status of;
    } outcomes[] = {
        {&stats->ok, JSONRPCC_OK},
        {&stats->remote_errors, JSONRPCC_EREMOTE},
        {&stats->timeouts, JSONRPCC_ETIMEDOUT},
        {&stats->failures, JSONRPCC_EFAILURE},
        {&stats->connections_lost, JSONRPCC_ECONNLOST},
        {&stats->invalid_responses, JSONRPCC_EINVALID},
        {&stats->cancelled, JSONRPCC_ECANCELLED},
        {&stats->closed, JSONRPCC_ECLOSED},
        {&stats->out_of_memory, JSONRPCC_ENOMEM},
    };

    memset(stats, 0, sizeof *stats);
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        *outcomes[i].to = jrc_read(&counters->outcomes[outcomes[i].of]);
    stats->resent = jrc_read(&counters->resent);
    stats->moved = jrc_read(&counters->moved);
    stats->unmatched = jrc_read(&counters->unmatched);
    stats->ignored = jrc_read(&counters->ignored);
    stats->bad_frames = jrc_read(&counters->bad_frames);
    stats->rejected = jrc_read(&counters->rejected);
    stats->lookups = jrc_read(&counters->lookups);
    stats->lookups_failed = jrc_read(&counters->lookups_failed);
    stats->list_changes = jrc_read(&counters->list_changes);
    stats->events_dropped = jrc_read(&core->listener.dropped);
    for (uint32_t i = 0; i < JSONRPCC_LATENCY_BUCKETS; i++)
        stats->latency[i] = jrc_read(&counters->latency[i]);
    stats->latency_sum_us = jrc_read(&counters->latency_sum_us);
    for (uint32_t i = 0; i < JSONRPCC_EVENT_KINDS; i++)
        stats->events[i] = jrc_read(&counters->events[i]);
    int64_t undelivered = atomic_load(&core->consumer.undelivered_bytes);
    stats->undelivered_bytes = undelivered > 0 ? (uint64_t)undelivered : 0;
    pthread_mutex_lock(&core->lock);
    stats->requests = core->submission.requests;
    stats->notifications = core->submission.notifications;
    stats->refused_full = core->submission.refused_full;
    stats->turns = core->leadership.turns;
    stats->wakeups = jrc_loop_wakeups(core->loop);
    stats->in_flight = core->submission.calls.live;
    stats->kept_bytes = core->submission.calls.kept_bytes;
    stats->queued_bytes = core->submission.held_bytes -
                          core->submission.calls.kept_bytes +
                          jrc_frames_size(&core->submission.pending);
    pthread_mutex_unlock(&core->lock);
}
