/* The public functions about counters. */

#include "client/client.h"
#include "wire/growth.h"

#include <string.h>

/* The calls of all methods together. */
static uint64_t outcomes_of(const struct jrc_core *core, uint32_t methods,
                            jsonrpcc_status status)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i <= methods; i++)
        sum += jrc_read(&core->engine.tallies[i].outcomes[status]);
    return sum;
}

static void add_latency(const struct jrc_tally *tally, uint64_t *latency,
                        uint64_t *sum_us)
{
    for (uint32_t i = 0; i < JSONRPCC_LATENCY_BUCKETS; i++)
        latency[i] += jrc_read(&tally->latency[i]);
    *sum_us += jrc_read(&tally->latency_sum_us);
}

/* Everything but the name. */
static void read_method(const struct jrc_core *core, uint32_t method,
                        jsonrpcc_method_info *info)
{
    const struct jrc_tally *tally = &core->engine.tallies[method];

    memset(info, 0, sizeof *info);
    /* Each once: what is left of calls without the three must never shrink. */
    uint64_t outcomes[JSONRPCC_EDEADLK + 1];
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++) {
        outcomes[i] = jrc_read(&tally->outcomes[i]);
        info->calls += outcomes[i];
    }
    info->ok = outcomes[JSONRPCC_OK];
    info->remote_errors = outcomes[JSONRPCC_EREMOTE];
    info->timeouts = outcomes[JSONRPCC_ETIMEDOUT];
    add_latency(tally, info->latency, &info->latency_sum_us);
}

/* methods: how many there are with a tally of their own. */
static void read_all(struct jrc_core *core, uint32_t methods,
                     jsonrpcc_stats *stats)
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
        *outcomes[i].to = outcomes_of(core, methods, outcomes[i].of);
    stats->resent = jrc_read(&counters->resent);
    stats->moved = jrc_read(&counters->moved);
    stats->unmatched = jrc_read(&counters->unmatched);
    stats->ignored = jrc_read(&counters->ignored);
    stats->bad_frames = jrc_read(&counters->bad_frames);
    stats->rejected = jrc_read(&counters->rejected);
    stats->lookups = jrc_read(&counters->lookups);
    stats->lookups_failed = jrc_read(&counters->lookups_failed);
    stats->list_changes = jrc_read(&counters->list_changes);
    stats->hellos = jrc_read(&counters->hellos);
    stats->hellos_failed = jrc_read(&counters->hellos_failed);
    stats->pings = jrc_read(&counters->pings);
    stats->pings_failed = jrc_read(&counters->pings_failed);
    stats->events_dropped = jrc_read(&core->listener.dropped);
    for (uint32_t i = 0; i <= methods; i++)
        add_latency(&core->engine.tallies[i], stats->latency,
                    &stats->latency_sum_us);
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

void jsonrpcc_client_stats(jsonrpcc_client *client, jsonrpcc_stats *stats,
                           size_t size)
{
    struct jrc_core *core = jrc_client_core(client);
    jsonrpcc_stats all;

    memset(&all, 0, sizeof all);
    if (core != NULL)
        read_all(core, jrc_method_names_count(jrc_client_methods(client)),
                 &all);
    jrc_growth_give(stats, size, &all, sizeof all);
}

bool jsonrpcc_method_get(jsonrpcc_client *client, uint16_t method_id,
                         jsonrpcc_method_info *info, size_t size)
{
    struct jrc_core *core = jrc_client_core(client);
    jsonrpcc_method_info all;

    if (core == NULL ||
        method_id > jrc_method_names_count(jrc_client_methods(client)))
        return false;
    read_method(core, method_id, &all);
    all.name = jrc_method_names_get(jrc_client_methods(client), method_id,
                                    &all.name_len);
    jrc_growth_give(info, size, &all, sizeof all);
    return true;
}

uint64_t jsonrpcc_latency_bound_us(uint32_t bucket)
{
    return jrc_bucket_bound(bucket);
}
