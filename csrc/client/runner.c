#include "client/runner.h"

#include "client/leader.h"
#include "client/lifecycle.h"
#include "client/member.h"
#include "client/work.h"
#include "io/clock.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    LATE_US = 5000,   /* nobody runs this long: the lookout comes */
    MOST_TAKES = 64,  /* between two looks at the loops */
    MOST_STANDING = 2 /* threads that stand by; more of them end */
};

static void ref(struct jrc_member *member)
{
    atomic_fetch_add_explicit(&member->refs, 1, memory_order_relaxed);
}

void jrc_member_unref(struct jrc_member *member)
{
    if (atomic_fetch_sub_explicit(&member->refs, 1, memory_order_acq_rel) != 1)
        return;
    jrc_core_unref(member->core);
    free(member);
}

/* ---- whom it takes ---- */

/* Take the first one that is ready, with a reference, if there is one. */
static struct jrc_member *take(struct jsonrpcc_crew *crew)
{
    struct jrc_member *member = crew->first_ready;

    if (member == NULL)
        return NULL;
    jrc_crew_unready(crew, member);
    member->is_ready = false;
    member->is_taken = true;
    member->is_visited = false;
    crew->unvisited++;
    member->due_us = JRC_NEVER;
    ref(member);
    return member;
}

/* ---- leading ---- */

/* False: a callback forked, and this is the child. */
static bool lead(struct jrc_member *member)
{
    struct jrc_core *core = member->core;
    bool is_parent = true;

    pthread_mutex_lock(&core->lock);
    member->is_held = false; /* what is submitted now has to wake us */
    if (core->leadership.member == member) {
        if (core->leadership.leader == JRC_NO_LEADER && !core->life.closing)
            is_parent = jrc_lead_for_crew(core, true);
        else
            jrc_member_mask(member);
    }
    pthread_mutex_unlock(&core->lock);
    return is_parent;
}

/* Under the lock, which is released meanwhile; it is not taken again if this
 * returns false, as lead() does. */
static bool lead_unlocked(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    ref(member);
    pthread_mutex_unlock(&crew->lock);
    bool is_parent = lead(member);
    if (!is_parent)
        return false;
    jrc_member_unref(member);
    pthread_mutex_lock(&crew->lock);
    return true;
}

/* Under the lock: its thread need not be waited for any more. */
static void set_visited(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    if (member->is_taken && !member->is_visited)
        crew->unvisited--;
    member->is_visited = true;
}

void jrc_crew_drop(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    jrc_crew_unready(crew, member);
    set_visited(crew, member);
}

/* Lead those that are held: their threads have not come back to send what their
 * callbacks have submitted.  Otherwise as lead_unlocked(). */
static bool visit(struct jsonrpcc_crew *crew)
{
    crew->visits = false;
    for (uint32_t i = 0; i < crew->room; i++) {
        struct jrc_member *member = crew->members[i];
        if (member == NULL || !member->is_taken || member->is_visited)
            continue;
        set_visited(crew, member);
        if (!lead_unlocked(crew, member))
            return false;
    }
    return true;
}

/* ---- events ---- */

/* The next member of which the last wait told, and that is still one. */
static struct jrc_member *next_event(struct jsonrpcc_crew *crew)
{
    while (crew->event_at < crew->event_count) {
        uint64_t id = crew->events[crew->event_at++].data.u64, rings;
        uint32_t slot = (uint32_t)id;
        if (id == UINT64_MAX)
            (void)!read(crew->wake_fd, &rings, sizeof rings);
        else if (slot < crew->room && crew->members[slot] != NULL &&
                 crew->members[slot]->serial == (uint32_t)(id >> 32))
            return crew->members[slot];
    }
    return NULL;
}

/* Until when the thread that runs may wait, in milliseconds; -1: no limit. */
static int wait_ms(const struct jsonrpcc_crew *crew)
{
    if (atomic_load(&crew->told) != NULL)
        return 0;
    if (crew->due_us == JRC_NEVER)
        return -1;
    uint64_t now_us = jrc_now_us();
    uint64_t left_ms =
        crew->due_us > now_us ? (crew->due_us - now_us) / 1000 : 0;
    return left_ms < 1000000 ? (int)left_ms + 1 : 1000000;
}

/* Under the lock, which is released meanwhile. */
static void await_events(struct jsonrpcc_crew *crew, bool waits)
{
    /* First asleep, then a look at what is told: tellers do it the other way
     * round. */
    atomic_store(&crew->is_asleep, waits);
    int ms = !waits ? 0 : crew->is_lookout ? -1 : wait_ms(crew);
    pthread_mutex_unlock(&crew->lock);
    int count = epoll_wait(crew->epoll_fd, crew->events, JRC_CREW_EVENTS, ms);
    atomic_store(&crew->is_asleep, false);
    pthread_mutex_lock(&crew->lock);
    crew->event_at = 0;
    crew->event_count = count > 0 ? count : 0;
}

/* ---- who runs ---- */

static void begin_to_run(struct jsonrpcc_crew *crew)
{
    crew->runs = true;
    crew->calls = false;
    atomic_store_explicit(&crew->is_unattended, false, memory_order_relaxed);
}

static void stop_running(struct jsonrpcc_crew *crew)
{
    crew->runs = false;
    atomic_store(&crew->is_unattended, true);
}

static void call_one(struct jsonrpcc_crew *crew)
{
    crew->calls = true;
    pthread_cond_signal(&crew->call);
}

/* Under the lock: OK when this thread runs.  EFULL: enough others stand by.
 * ECLOSED: there is nobody to take care of. */
static jsonrpcc_status await_run(struct jsonrpcc_crew *crew)
{
    if (crew->runs && crew->count > 0) {
        if (crew->standing >= MOST_STANDING)
            return JSONRPCC_EFULL;
        if (crew->is_lookout) {
            crew->is_wanted = true;
            jrc_crew_wake(crew);
        }
        crew->standing++;
        while (crew->count > 0 && (crew->runs || !crew->calls))
            pthread_cond_wait(&crew->call, &crew->lock);
        crew->standing--;
    }
    if (crew->count == 0)
        return JSONRPCC_ECLOSED;
    begin_to_run(crew);
    return JSONRPCC_OK;
}

/* Under the lock: run until there is a member to deliver for, which is taken.
 * EFOREIGN: as lead_unlocked(). */
static jsonrpcc_status run(struct jsonrpcc_crew *crew,
                           struct jrc_member **taken)
{
    for (;;) {
        if (crew->visits && !visit(crew))
            return JSONRPCC_EFOREIGN;
        jrc_crew_gather(crew);
        /* However much there is to deliver, the loops go on. */
        *taken = crew->takes < MOST_TAKES ? take(crew) : NULL;
        crew->takes += *taken != NULL;
        if (*taken != NULL || crew->count == 0)
            break;
        struct jrc_member *member = next_event(crew);
        if (member == NULL) {
            await_events(crew, crew->first_ready == NULL);
            crew->takes = 0;
        } else if (!lead_unlocked(crew, member)) {
            return JSONRPCC_EFOREIGN;
        }
    }
    stop_running(crew);
    if (*taken == NULL)
        return JSONRPCC_ECLOSED;
    crew->left_us = jrc_now_us();
    jrc_crew_alarm(crew, LATE_US);
    return JSONRPCC_OK;
}

/* ---- holding ---- */

static void hold(struct jrc_member *member, jsonrpcc_seat *seat)
{
    struct jrc_core *core = member->core;

    pthread_mutex_lock(&core->lock);
    /* Unless another thread has come in between, see lead(). */
    member->is_held = !atomic_load(&member->is_visited);
    member->holder = pthread_self();
    seat->is_last = core->life.closed;
    pthread_mutex_unlock(&core->lock);
    seat->held = member;
    seat->again_ms = -1;
    seat->token = member->token;
}

/* Send what the callbacks have submitted.  False: as lead(). */
static bool release(struct jrc_member *member)
{
    struct jrc_core *core = member->core;
    bool is_parent = true;

    pthread_mutex_lock(&core->lock);
    member->is_held = false;
    if (core->leadership.member == member &&
        core->leadership.leader == JRC_NO_LEADER && !core->life.closing &&
        jrc_has_work(core))
        is_parent = jrc_lead_for_crew(core, false);
    pthread_mutex_unlock(&core->lock);
    return is_parent;
}

/* Under the lock. */
static void give_back(struct jsonrpcc_crew *crew, struct jrc_member *member,
                      int32_t again_ms)
{
    if (crew->members[member->slot] != member)
        return; /* it has left */
    set_visited(crew, member);
    member->is_taken = false;
    if (member->is_ready)
        jrc_crew_append(crew, member);
    else if (again_ms == 0)
        jrc_crew_make_ready(crew, member);
    else if (again_ms > 0)
        member->due_us = jrc_now_us() + (uint64_t)again_ms * 1000;
    if (member->due_us < crew->due_us)
        crew->due_us = member->due_us;
    if (crew->runs && (member->is_ready || again_ms > 0))
        jrc_crew_wake(crew); /* it has not seen that */
}

jsonrpcc_status jsonrpcc_crew_serve(jsonrpcc_crew *crew, jsonrpcc_seat *seat)
{
    struct jrc_member *held = seat->held, *taken;

    if (jsonrpcc_crew_is_foreign(crew) || (held != NULL && !release(held)))
        return JSONRPCC_EFOREIGN;
    pthread_mutex_lock(&crew->lock);
    if (held != NULL)
        give_back(crew, held, seat->again_ms);
    crew->threads += !seat->is_taken;
    seat->is_taken = true;
    jsonrpcc_status status = await_run(crew);
    if (status == JSONRPCC_OK)
        status = run(crew, &taken);
    if (status == JSONRPCC_EFOREIGN)
        return status;
    seat->lacks_standby = crew->standing == 0;
    seat->is_taken = status == JSONRPCC_OK;
    crew->threads -= !seat->is_taken;
    pthread_mutex_unlock(&crew->lock);
    if (held != NULL)
        jrc_member_unref(held);
    seat->held = NULL;
    seat->token = 0;
    if (status == JSONRPCC_OK)
        hold(taken, seat);
    return status;
}

/* ---- the lookout ---- */

/* Under the lock: nobody runs.  False: as lead_unlocked(). */
static bool stand_in(struct jsonrpcc_crew *crew)
{
    uint64_t out_us = jrc_now_us() - crew->left_us;
    bool is_late = out_us >= LATE_US, waits = false;
    bool is_called = atomic_exchange(&crew->is_called, false);
    struct jrc_member *member;

    if (!is_late && !is_called) {
        jrc_crew_alarm(crew, LATE_US - out_us);
        return true;
    }
    crew->visits = is_late;
    if (is_late && crew->standing > 0) {
        call_one(crew);
        return true;
    }
    begin_to_run(crew);
    crew->is_lookout = true;
    crew->is_wanted = false;
    if (crew->visits && !visit(crew))
        return false;
    do {
        await_events(crew, waits);
        while ((member = next_event(crew)) != NULL)
            if (!lead_unlocked(crew, member))
                return false;
        waits =
            is_late && !crew->is_wanted && !crew->is_freed && crew->count > 0;
    } while (waits);
    crew->is_lookout = false;
    stop_running(crew);
    if (crew->standing > 0 && (crew->is_wanted || is_late))
        call_one(crew);
    else if (crew->count > 0 && !is_late)
        jrc_crew_alarm(crew, LATE_US - out_us);
    return true;
}

bool jrc_crew_look(struct jsonrpcc_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->is_alarmed = false;
    bool goes_on = !crew->is_freed;
    if (crew->runs) {
        /* Others are out: they may be so for long. */
        crew->visits = crew->unvisited > 0;
        if (crew->visits)
            jrc_crew_wake(crew);
    }
    if (!goes_on || crew->runs || crew->count == 0)
        atomic_store(&crew->is_called, false);
    else if (!stand_in(crew))
        return false;
    if (goes_on && crew->unvisited > 0 && !crew->visits)
        jrc_crew_alarm(crew, LATE_US);
    pthread_mutex_unlock(&crew->lock);
    return goes_on;
}
