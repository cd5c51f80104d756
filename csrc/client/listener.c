#include "client/listener.h"

#include "client/leadership.h"

void jrc_listener_set(struct jrc_core *core, jsonrpcc_event_fn fn, void *arg)
{
    pthread_mutex_lock(&core->lock);
    core->listener.fn = fn;
    core->listener.arg = arg;
    core->listener.wants_replay = true;
    bool wake = !core->life.closing && jrc_wake_leader(core);
    /* The previous listener must not run once this returns: its arg may be
     * freed. */
    while (core->listener.runs && !jrc_is_leader(core))
        pthread_cond_wait(&core->listener.returned, &core->lock);
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
}

void jrc_listener_add(void *arg, const jsonrpcc_event *event)
{
    struct jrc_core *core = arg;

    core->listener.events[core->listener.event_count++ % JRC_EVENTS] = *event;
}

/* Events are rare, so the lock is taken only if there is something to emit. */
void jrc_listener_emit(struct jrc_core *core, bool replay)
{
    if (core->listener.emitted == core->listener.event_count && !replay)
        return;
    pthread_mutex_lock(&core->lock);
    if (core->listener.wants_replay)
        core->listener.emitted = 0;
    core->listener.wants_replay = false;
    jsonrpcc_event_fn fn = core->listener.fn;
    void *arg = core->listener.arg;
    core->listener.runs = fn != NULL;
    pthread_mutex_unlock(&core->lock);
    if (fn == NULL)
        return;
    if (core->listener.event_count - core->listener.emitted > JRC_EVENTS) {
        uint64_t oldest = core->listener.event_count - JRC_EVENTS;
        jrc_add(&core->listener.dropped, oldest - core->listener.emitted);
        core->listener.emitted = oldest;
    }
    while (core->listener.emitted < core->listener.event_count) {
        fn(arg, &core->listener.events[core->listener.emitted++ % JRC_EVENTS]);
        jrc_stay_in_parent(core);
    }
    pthread_mutex_lock(&core->lock);
    core->listener.runs = false;
    pthread_cond_broadcast(&core->listener.returned);
    pthread_mutex_unlock(&core->lock);
}
