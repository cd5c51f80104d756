/* A signal whose waiter leads while it waits. */

#include "client/client.h"
#include "client/crew.h"
#include "client/host.h"
#include "client/leader.h"
#include "client/leadership.h"
#include "client/lifecycle.h"
#include "client/member.h"
#include "io/clock.h"

#include <stdlib.h>

struct jsonrpcc_waiter {
    struct jrc_core *core;   /* a reference */
    jsonrpcc_client *client; /* a reference */
    bool waited_on;
    struct jrc_follower follower;
    struct jrc_member *member; /* of a crew, under the core's lock; or NULL */
};

jsonrpcc_waiter *jsonrpcc_waiter_new(jsonrpcc_client *client, bool lazy)
{
    struct jrc_core *core = jrc_client_core(client);
    jsonrpcc_waiter *waiter = core == NULL ? NULL : calloc(1, sizeof *waiter);

    if (waiter == NULL)
        return NULL;
    waiter->core = core;
    jrc_core_ref(core);
    waiter->client = client;
    jrc_client_ref(client);
    waiter->follower.role = lazy ? JRC_DISPATCHER : JRC_CALLER;
    jrc_cond_init(&waiter->follower.cond);
    return waiter;
}

void jsonrpcc_waiter_free(jsonrpcc_waiter *waiter)
{
    if (waiter == NULL)
        return;
    struct jrc_core *core = waiter->core;
    if (!jrc_core_is_ours(core))
        return; /* the parent may have threads that wait on the condition */
    jrc_crew_leave(core, &waiter->member);
    if (waiter->follower.role == JRC_DISPATCHER) {
        pthread_mutex_lock(&core->lock);
        jrc_forget_dispatcher(core);
        pthread_mutex_unlock(&core->lock);
    }
    pthread_cond_destroy(&waiter->follower.cond);
    jrc_client_unref(waiter->client);
    free(waiter);
    jrc_core_unref(core);
}

bool jsonrpcc_waiter_is_foreign(const jsonrpcc_waiter *waiter)
{
    return !jrc_core_is_ours(waiter->core);
}

void jsonrpcc_signal(jsonrpcc_waiter *waiter)
{
    struct jrc_core *core = waiter->core;

    if (!jrc_core_is_ours(core))
        return;
    pthread_mutex_lock(&core->lock);
    waiter->follower.signalled = true;
    if (waiter->member != NULL)
        jrc_crew_tell(waiter->member);
    if (waiter->follower.following)
        pthread_cond_signal(&waiter->follower.cond);
    else if (core->leadership.leader == waiter->follower.role &&
             !core->life.closed)
        jrc_loop_wake(core->loop); /* it may be the leader, asleep */
    pthread_mutex_unlock(&core->lock);
}

static bool waiter_may_stay(const struct jrc_core *core, const void *arg)
{
    const jsonrpcc_waiter *waiter = arg;

    return !waiter->follower.signalled && !core->life.closing &&
           jrc_leader_wanted(core) <= waiter->follower.role;
}

/* Under the lock: wait as a follower until something may have changed. */
static void follow(struct jrc_core *core, struct jrc_follower *me,
                   uint64_t until_us)
{
    me->next = core->leadership.followers;
    me->prev = NULL;
    if (me->next != NULL)
        me->next->prev = me;
    core->leadership.followers = me;
    me->following = true;
    /* Wake the leader: one of a smaller role steps down, and one of the same
     * role may have to send what this thread submitted. */
    if (core->leadership.leader != JRC_NO_LEADER && !core->life.closed &&
        (core->leadership.leader < me->role ||
         !jrc_frames_empty(&core->submission.pending)))
        jrc_loop_wake(core->loop);
    if (until_us == JRC_NEVER) {
        pthread_cond_wait(&me->cond, &core->lock);
    } else {
        struct timespec until = jrc_timespec(until_us);
        pthread_cond_timedwait(&me->cond, &core->lock, &until);
    }
    me->following = false;
    if (me->prev != NULL)
        me->prev->next = me->next;
    else
        core->leadership.followers = me->next;
    if (me->next != NULL)
        me->next->prev = me->prev;
}

/* Under the lock.  Even with no time to wait, this looks once: a thread has to
 * handle what was submitted with JSONRPCC_CORKED. */
static jsonrpcc_status wait_until(struct jrc_core *core,
                                  jsonrpcc_waiter *waiter, uint64_t until_us)
{
    jsonrpcc_status status = JSONRPCC_OK;
    bool looked = false;
    bool followed = false; /* since it last led */

    while (status == JSONRPCC_OK && !waiter->follower.signalled) {
        if (core->life.closed)
            status = JSONRPCC_ECLOSED;
        else if (looked && until_us != JRC_NEVER && jrc_now_us() >= until_us)
            status = JSONRPCC_EPENDING;
        else {
            looked = true;
            followed = core->leadership.leader != JRC_NO_LEADER ||
                       core->life.closing ||
                       jrc_leader_wanted(core) > waiter->follower.role;
            if (followed)
                follow(core, &waiter->follower, until_us);
            else if (!jrc_lead(core, waiter->follower.role, waiter_may_stay,
                               waiter, until_us))
                return JSONRPCC_EFOREIGN;
        }
    }
    if (followed)
        jrc_pass_on(core);
    if (status == JSONRPCC_OK)
        waiter->follower.signalled = false;
    return status;
}

jsonrpcc_status jsonrpcc_wait(jsonrpcc_waiter *waiter, int32_t timeout_ms)
{
    struct jrc_core *core = waiter->core;
    jsonrpcc_status status = JSONRPCC_EINVAL;
    uint64_t until_us =
        timeout_ms < 0 ? JRC_NEVER : jrc_now_us() + (uint64_t)timeout_ms * 1000;

    if (!jrc_core_is_ours(core))
        return JSONRPCC_EFOREIGN;
    pthread_mutex_lock(&core->lock);
    if (jrc_is_leader(core) || jrc_host_is_here(core)) {
        status = JSONRPCC_EDEADLK;
    } else if (!waiter->waited_on) { /* a second one would make the list of
                                        followers a cycle */
        waiter->waited_on = true;
        status = wait_until(core, waiter, until_us);
        waiter->waited_on = false;
    }
    pthread_mutex_unlock(&core->lock);
    return status;
}

bool jsonrpcc_poll(jsonrpcc_waiter *waiter)
{
    return jrc_core_is_ours(waiter->core) && jrc_lead_once(waiter->core);
}

int jsonrpcc_poll_fd(jsonrpcc_waiter *waiter)
{
    return jrc_core_is_ours(waiter->core) ? jrc_loop_fd(waiter->core->loop)
                                          : -1;
}

jsonrpcc_status jsonrpcc_waiter_join(jsonrpcc_waiter *waiter,
                                     jsonrpcc_crew *crew, uint64_t token)
{
    if (!jrc_core_is_ours(waiter->core) || jsonrpcc_crew_is_foreign(crew))
        return JSONRPCC_EFOREIGN;
    return jrc_crew_join(crew, waiter->core, token, &waiter->member);
}
