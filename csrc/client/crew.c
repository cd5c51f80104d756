#include "client/crew.h"

#include "client/leader.h"
#include "client/shared_thread.h"
#include "io/clock.h"

#include <stdlib.h>

enum {
    LATE_US = 5000,  /* the active thread is away so long: another takes over */
    MOST_HASTE = 4,  /* the most times this is halved, if more block */
    MOST_WAITING = 2 /* threads that stand by; more of them end */
};

pthread_mutex_t jrc_crews_lock = PTHREAD_MUTEX_INITIALIZER;

/* All there are.  Python keeps its own for as long as the process lives, and
 * forgets where: from here, LeakSanitizer sees that it is no leak. */
static struct jsonrpcc_crew *crews;

/* The child's crews are foreign, which is all. */
__attribute__((constructor)) static void watch_forks(void)
{
    static struct jrc_fork_inner inner = {.lock = &jrc_crews_lock};

    jrc_fork_watch_inner(&inner);
}

/* ---- who is late ---- */

static uint64_t clock_us(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now); /* of a thread that is gone, it is 0 */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* How long others wait for the active thread if it blocks.  If callbacks of
 * many clients block, most likely by one cause, a thread after the other finds
 * that out, and the next client waits for all of them. */
static uint64_t patience_us(const struct jsonrpcc_crew *crew)
{
    unsigned others = crew->delivering - crew->has_begun;

    return LATE_US >> (others < MOST_HASTE ? others : MOST_HASTE);
}

/* What computes is delayed by every other thread, and does not block. */
static bool is_blocked(const struct jsonrpcc_crew *crew, uint64_t now_us)
{
    return crew->has_begun &&
           2 * (clock_us(crew->clock) - crew->cpu_us) < now_us - crew->taken_us;
}

static bool is_late(const struct jsonrpcc_crew *crew)
{
    uint64_t now_us = jrc_now_us(), patience = patience_us(crew);

    return now_us >= crew->taken_us + LATE_US ||
           (patience < LATE_US && now_us >= crew->taken_us + patience &&
            is_blocked(crew, now_us));
}

/* When to look again whether it is. */
static uint64_t next_look_us(const struct jsonrpcc_crew *crew)
{
    uint64_t late_us = crew->taken_us + LATE_US;
    uint64_t patience = patience_us(crew), next_us = jrc_now_us() + patience;

    return patience < LATE_US && next_us < late_us ? next_us : late_us;
}

void jsonrpcc_crew_begin(jsonrpcc_seat *seat)
{
    struct jrc_member *member = seat->held;

    if (member == NULL || seat->has_begun ||
        jsonrpcc_crew_is_foreign(member->crew))
        return;
    struct jsonrpcc_crew *crew = member->crew;
    pthread_mutex_lock(&jrc_crews_lock);
    seat->has_begun = true;
    crew->delivering++;
    if (crew->active == seat) {
        crew->has_begun = true;
        crew->taken_us = jrc_now_us();
        if (crew->delivering > 1) {
            crew->clock = CLOCK_THREAD_CPUTIME_ID;
            crew->cpu_us = clock_us(crew->clock);
            pthread_getcpuclockid(pthread_self(), &crew->clock);
        }
    }
    pthread_mutex_unlock(&jrc_crews_lock);
}

/* ---- the crew ---- */

jsonrpcc_crew *jsonrpcc_crew_new(void)
{
    struct jsonrpcc_crew *crew = calloc(1, sizeof *crew);

    if (crew == NULL)
        return NULL;
    crew->generation = jrc_fork_generation();
    crew->last_ready = &crew->first_ready;
    crew->due_us = JRC_NEVER;
    jrc_cond_init(&crew->call);
    pthread_mutex_lock(&jrc_crews_lock);
    crew->next = crews;
    crews = crew;
    pthread_mutex_unlock(&jrc_crews_lock);
    return crew;
}

bool jsonrpcc_crew_is_foreign(const jsonrpcc_crew *crew)
{
    return crew->generation != jrc_fork_generation();
}

void jsonrpcc_crew_free(jsonrpcc_crew *crew)
{
    if (crew == NULL || jsonrpcc_crew_is_foreign(crew))
        return;
    pthread_mutex_lock(&jrc_crews_lock);
    struct jsonrpcc_crew **at = &crews;
    while (*at != crew)
        at = &(*at)->next;
    *at = crew->next;
    pthread_mutex_unlock(&jrc_crews_lock);
    pthread_cond_destroy(&crew->call);
    free(crew);
}

bool jsonrpcc_crew_is_served(jsonrpcc_crew *crew)
{
    if (jsonrpcc_crew_is_foreign(crew))
        return true;
    pthread_mutex_lock(&jrc_crews_lock);
    bool is_stuck = crew->waiting == 0 && crew->first_ready != NULL &&
                    crew->active != NULL && is_late(crew);
    bool is_served = crew->threads > 0 && !is_stuck;
    pthread_mutex_unlock(&jrc_crews_lock);
    return is_served;
}

/* ---- who is ready ---- */

/* Have one that waits look at what is ready, and until when to wait. */
static void call_one(struct jsonrpcc_crew *crew)
{
    if (crew->waiting > 0 && !crew->is_called)
        pthread_cond_signal(&crew->call);
    crew->is_called = crew->waiting > 0;
}

void jrc_crew_call_for_ready(struct jsonrpcc_crew *crew)
{
    if (crew->first_ready != NULL &&
        (crew->active == NULL || !crew->is_guarded))
        call_one(crew);
}

void jrc_crew_make_ready(struct jrc_member *member)
{
    struct jsonrpcc_crew *crew = member->crew;

    if (!member->is_ready && !member->is_taken && !member->has_left) {
        member->ready = NULL;
        *crew->last_ready = member;
        crew->last_ready = &member->ready;
    }
    member->is_ready = true;
}

void jrc_crew_unready(struct jrc_member *member)
{
    struct jsonrpcc_crew *crew = member->crew;
    struct jrc_member **at = &crew->first_ready;

    while (*at != NULL && *at != member)
        at = &(*at)->ready;
    if (*at == NULL)
        return;
    *at = member->ready;
    if (crew->last_ready == &member->ready)
        crew->last_ready = at;
}

static void gather_due(struct jsonrpcc_crew *crew)
{
    uint64_t now_us = crew->due_us == JRC_NEVER ? 0 : jrc_now_us();

    if (crew->due_us > now_us)
        return;
    crew->due_us = JRC_NEVER;
    for (struct jrc_member *m = crew->members; m != NULL; m = m->next) {
        if (m->due_us <= now_us) {
            m->due_us = JRC_NEVER;
            jrc_crew_make_ready(m);
        } else if (m->due_us < crew->due_us) {
            crew->due_us = m->due_us;
        }
    }
}

void jrc_crew_tell(struct jrc_member *member)
{
    pthread_mutex_lock(&jrc_crews_lock);
    jrc_crew_make_ready(member);
    if (!member->is_taken)
        jrc_crew_call_for_ready(member->crew);
    pthread_mutex_unlock(&jrc_crews_lock);
}

void jrc_crew_unref_unlock(struct jrc_member *member)
{
    bool is_unused = --member->refs == 0;

    pthread_mutex_unlock(&jrc_crews_lock);
    if (is_unused)
        member->destroy(member);
}

/* ---- its threads ---- */

/* Under the lock: take the first one that is ready. */
static struct jrc_member *take(struct jsonrpcc_crew *crew,
                               const jsonrpcc_seat *seat)
{
    struct jrc_member *member = crew->first_ready;

    jrc_crew_unready(member);
    member->is_ready = false;
    member->is_taken = true;
    member->due_us = JRC_NEVER;
    member->refs++;
    crew->active = seat;
    crew->has_begun = false;
    crew->taken_us = jrc_now_us();
    jrc_shared_will_poll();
    jrc_crew_call_for_ready(crew);
    return member;
}

/* Under the lock, which is released meanwhile. */
static void give_back(struct jrc_member *member, int32_t again_ms)
{
    struct jsonrpcc_crew *crew = member->crew;

    member->is_taken = false;
    if (member->is_ready || again_ms == 0) {
        member->is_ready = false;
        jrc_crew_make_ready(member);
    } else if (again_ms > 0 && !member->has_left) {
        member->due_us = jrc_now_us() + (uint64_t)again_ms * 1000;
    }
    if (member->due_us < crew->due_us) {
        crew->due_us = member->due_us;
        call_one(crew); /* to wait for that time */
    }
    jrc_crew_unref_unlock(member);
    pthread_mutex_lock(&jrc_crews_lock);
}

/* Under the lock, which is released meanwhile: wait until called, or for the
 * time when a member is due, or when the active thread is late. */
static void wait_for_call(struct jsonrpcc_crew *crew)
{
    bool guards = crew->first_ready != NULL && !crew->is_guarded;
    uint64_t look_us = guards ? next_look_us(crew) : JRC_NEVER;
    uint64_t until_us = look_us < crew->due_us ? look_us : crew->due_us;

    crew->is_guarded |= guards;
    crew->waiting++;
    if (until_us == JRC_NEVER) {
        pthread_cond_wait(&crew->call, &jrc_crews_lock);
    } else {
        struct timespec until = jrc_timespec(until_us);
        pthread_cond_timedwait(&crew->call, &jrc_crews_lock, &until);
    }
    crew->waiting--;
    crew->is_called = false;
    if (guards)
        crew->is_guarded = false;
}

/* Under the lock, which is released meanwhile: see whether the loops have
 * something for this thread, which is the active one. */
static enum jrc_polled poll_loops(struct jsonrpcc_crew *crew)
{
    crew->taken_us = jrc_now_us();
    pthread_mutex_unlock(&jrc_crews_lock);
    enum jrc_polled polled = jrc_shared_poll();
    if (polled != JRC_POLLED_FORKED)
        pthread_mutex_lock(&jrc_crews_lock);
    return polled;
}

/* Under the lock, which is released meanwhile.  OK: *taken is set.  EFOREIGN: a
 * callback forked, this is the child, and the lock is not taken. */
static jsonrpcc_status await_member(struct jsonrpcc_crew *crew,
                                    const jsonrpcc_seat *seat,
                                    struct jrc_member **taken)
{
    bool is_new = true;

    while (crew->count > 0) {
        gather_due(crew);
        bool may_take = crew->active == NULL || crew->active == seat;
        if (crew->first_ready != NULL && (may_take || is_late(crew))) {
            *taken = take(crew, seat);
            return JSONRPCC_OK;
        }
        if (crew->active == seat) {
            enum jrc_polled polled = poll_loops(crew);
            if (polled == JRC_POLLED_FORKED)
                return JSONRPCC_EFOREIGN;
            if (polled == JRC_POLLED_NOTHING && crew->active == seat)
                crew->active = NULL;
            continue;
        }
        if (is_new && crew->waiting >= MOST_WAITING) {
            jrc_crew_call_for_ready(crew);
            return JSONRPCC_EFULL;
        }
        is_new = false;
        wait_for_call(crew);
    }
    if (crew->active == seat)
        crew->active = NULL;
    return JSONRPCC_ECLOSED;
}

static void hold(struct jrc_member *member, jsonrpcc_seat *seat)
{
    struct jrc_core *core = member->core;

    pthread_mutex_lock(&core->lock);
    core->leadership.is_held = true;
    core->leadership.holder = pthread_self();
    seat->is_last = core->life.closed;
    pthread_mutex_unlock(&core->lock);
    seat->again_ms = -1;
    seat->token = member->token;
    seat->held = member;
}

/* How many threads should stand by: starting one takes time. */
static unsigned wanted(const struct jsonrpcc_crew *crew)
{
    return crew->delivering > 1 ? MOST_WAITING : 1;
}

jsonrpcc_status jsonrpcc_crew_serve(jsonrpcc_crew *crew, jsonrpcc_seat *seat)
{
    struct jrc_member *held = seat->held, *taken = NULL;

    if (jsonrpcc_crew_is_foreign(crew) ||
        (held != NULL && !jrc_lead_after_callbacks(held->core)))
        return JSONRPCC_EFOREIGN;
    pthread_mutex_lock(&jrc_crews_lock);
    if (held != NULL)
        give_back(held, seat->again_ms);
    crew->threads += !seat->is_taken;
    seat->is_taken = true;
    crew->delivering -= seat->has_begun;
    crew->has_begun &= crew->active != seat;
    seat->has_begun = false;
    seat->held = NULL;
    seat->token = 0;
    jsonrpcc_status status = await_member(crew, seat, &taken);
    if (status == JSONRPCC_EFOREIGN)
        return status;
    seat->lacks_standby = crew->waiting < wanted(crew);
    seat->is_taken = status == JSONRPCC_OK;
    crew->threads -= !seat->is_taken;
    pthread_mutex_unlock(&jrc_crews_lock);
    if (status == JSONRPCC_OK)
        hold(taken, seat);
    return status;
}
