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

/* Under the lock: start over for a new listener, and skip what is no longer
 * kept. */
static void catch_up(struct jrc_listener *listener)
{
    if (listener->wants_replay)
        listener->emitted = 0;
    listener->wants_replay = false;
    if (listener->fn == NULL)
        listener->emitted = listener->event_count; /* for the next: a replay */
    if (listener->event_count - listener->emitted <= JRC_EVENTS)
        return;
    uint64_t oldest = listener->event_count - JRC_EVENTS;
    jrc_add(&listener->dropped, oldest - listener->emitted);
    listener->emitted = oldest;
}

/* Under the lock, which is released meanwhile. */
static void emit_next(struct jrc_core *core)
{
    struct jrc_listener *listener = &core->listener;
    const jsonrpcc_event *event =
        &listener->events[listener->emitted++ % JRC_EVENTS];
    jsonrpcc_event_fn fn = listener->fn;
    void *arg = listener->arg;

    listener->runs = true;
    pthread_mutex_unlock(&core->lock);
    fn(arg, event);
    jrc_stay_in_parent(core);
    pthread_mutex_lock(&core->lock);
    listener->runs = false;
    pthread_cond_broadcast(&listener->returned);
}

/* Events are rare, so the lock is taken only if there is something to emit. */
void jrc_listener_emit(struct jrc_core *core, bool replay)
{
    struct jrc_listener *listener = &core->listener;

    if (listener->emitted == listener->event_count && !replay)
        return;
    pthread_mutex_lock(&core->lock);
    catch_up(listener);
    /* Whoever was set meanwhile begins with the next turn. */
    while (listener->emitted < listener->event_count && !listener->wants_replay)
        emit_next(core);
    pthread_mutex_unlock(&core->lock);
}

bool jrc_listener_lacks(const struct jrc_listener *listener)
{
    return listener->wants_replay || listener->emitted < listener->event_count;
}
