#include "client/roster.h"

#include "client/leadership.h"
#include "client/member.h"
#include "client/runner.h"
#include "io/clock.h"
#include "io/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- around fork() ---- */

static void lock_for_fork(void *arg)
{
    struct jsonrpcc_crew *crew = arg;

    pthread_mutex_lock(&crew->lock);
}

static void unlock_after_fork(void *arg)
{
    struct jsonrpcc_crew *crew = arg;

    pthread_mutex_unlock(&crew->lock);
}

static void close_all(struct jsonrpcc_crew *crew)
{
    int *fds[] = {&crew->epoll_fd, &crew->wake_fd, &crew->alarm_fd};

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static void abandon_in_child(void *arg)
{
    close_all(arg);
}

static const struct jrc_fork_hooks fork_hooks = {
    lock_for_fork,
    unlock_after_fork,
    abandon_in_child,
};

static void unref(struct jsonrpcc_crew *crew)
{
    if (atomic_fetch_sub(&crew->refs, 1) != 1)
        return;
    jrc_fork_unwatch(&crew->fork_watch);
    close_all(crew);
    pthread_cond_destroy(&crew->call);
    pthread_mutex_destroy(&crew->lock);
    free(crew->members);
    free(crew);
}

/* ---- the lookout ---- */

static void *lookout_thread(void *arg)
{
    struct jsonrpcc_crew *crew = arg;
    bool goes_on = true;
    uint64_t count;

    while (goes_on) {
        while (read(crew->alarm_fd, &count, sizeof count) < 0 && errno == EINTR)
            continue;
        goes_on = jrc_crew_look(crew);
    }
    /* In a child that one of its callbacks forked, all is the parent's. */
    if (crew->generation == jrc_fork_generation())
        unref(crew);
    return NULL;
}

/* ---- the crew ---- */

/* 0 or an errno. */
static int open_all(struct jsonrpcc_crew *crew)
{
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = UINT64_MAX};

    crew->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    crew->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    crew->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (crew->epoll_fd < 0 || crew->wake_fd < 0 || crew->alarm_fd < 0 ||
        epoll_ctl(crew->epoll_fd, EPOLL_CTL_ADD, crew->wake_fd, &wake) != 0)
        return errno;
    return jrc_thread_start(lookout_thread, crew, 1024 * 1024);
}

jsonrpcc_crew *jsonrpcc_crew_new(void)
{
    struct jsonrpcc_crew *crew = calloc(1, sizeof *crew);

    if (crew == NULL)
        return NULL;
    crew->epoll_fd = crew->wake_fd = crew->alarm_fd = -1;
    crew->last_ready = &crew->first_ready;
    crew->due_us = JRC_NEVER;
    pthread_mutex_init(&crew->lock, NULL);
    jrc_cond_init(&crew->call);
    jrc_fork_lock_opening();
    crew->generation = jrc_fork_generation();
    atomic_init(&crew->refs, 2);
    jrc_fork_watch(&crew->fork_watch, &fork_hooks, crew);
    int error = open_all(crew);
    jrc_fork_unlock_opening();
    if (error == 0)
        return crew;
    unref(crew);
    unref(crew);
    errno = error;
    return NULL;
}

bool jsonrpcc_crew_is_foreign(const jsonrpcc_crew *crew)
{
    return crew->generation != jrc_fork_generation();
}

void jsonrpcc_crew_free(jsonrpcc_crew *crew)
{
    if (crew == NULL || jsonrpcc_crew_is_foreign(crew))
        return;
    pthread_mutex_lock(&crew->lock);
    crew->is_freed = true;
    crew->is_alarmed = false;
    jrc_crew_alarm(crew, 0);
    pthread_mutex_unlock(&crew->lock);
    jrc_crew_wake(crew);
    unref(crew);
}

bool jsonrpcc_crew_is_served(jsonrpcc_crew *crew)
{
    if (jsonrpcc_crew_is_foreign(crew))
        return true;
    pthread_mutex_lock(&crew->lock);
    bool is_served = crew->threads > 0;
    pthread_mutex_unlock(&crew->lock);
    return is_served;
}

/* ---- its members ---- */

/* Under the lock.  False: out of memory. */
static bool enter_table(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    uint32_t slot = 0;

    while (slot < crew->room && crew->members[slot] != NULL)
        slot++;
    if (slot == crew->room) {
        uint32_t room = crew->room * 2 + 16;
        void *larger = realloc(crew->members, room * sizeof *crew->members);
        if (larger == NULL)
            return false;
        crew->members = larger;
        for (uint32_t i = crew->room; i < room; i++)
            crew->members[i] = NULL;
        crew->room = room;
    }
    member->slot = slot;
    member->serial = crew->serial++;
    crew->members[slot] = member;
    crew->count++;
    return true;
}

/* Nothing that comes now finds it, and what came before is forgotten. */
static void leave_table(struct jsonrpcc_crew *crew, struct jrc_member *member)
{
    pthread_mutex_lock(&crew->lock);
    jrc_crew_gather(crew);
    jrc_crew_drop(crew, member);
    crew->members[member->slot] = NULL;
    crew->count--;
    if (crew->count == 0)
        pthread_cond_broadcast(&crew->call);
    bool is_empty = crew->count == 0;
    pthread_mutex_unlock(&crew->lock);
    if (is_empty)
        jrc_crew_wake(crew); /* its threads end */
}

/* Under the core's lock: 0 or an errno.  EALREADY: *joined is set. */
static int attach(struct jrc_core *core, struct jrc_member *member,
                  struct jrc_member **joined)
{
    bool is_open =
        !core->life.closing; /* otherwise its end is all that comes */

    if (*joined != NULL)
        return EALREADY;
    if (core->leadership.member != NULL)
        return EINVAL;
    if (is_open && jrc_loop_fd(core->loop) < 0)
        return ENOSYS;
    if (is_open && !jrc_member_poll(member))
        return errno;
    core->leadership.member = *joined = member;
    member->joined = joined;
    jrc_member_tell(member); /* it may have something to fetch already */
    if (!is_open)
        return 0;
    if (core->leadership.leader == JRC_NO_LEADER)
        jrc_member_watch(core, true);
    else if (core->leadership.leader == JRC_WATCHDOG) {
        core->leadership.poller_wants = true;
        jrc_loop_wake(core->loop);
    }
    return 0;
}

int jrc_crew_join(struct jsonrpcc_crew *crew, struct jrc_core *core,
                  uint64_t token, struct jrc_member **joined)
{
    struct jrc_member *member = calloc(1, sizeof *member);

    if (member == NULL)
        return ENOMEM;
    member->crew = crew;
    member->core = core;
    member->token = token;
    member->due_us = JRC_NEVER;
    jrc_core_ref(core);
    atomic_init(&member->refs, 1);
    pthread_mutex_lock(&crew->lock);
    bool entered = enter_table(crew, member);
    pthread_mutex_unlock(&crew->lock);
    if (!entered) {
        jrc_member_unref(member);
        return ENOMEM;
    }
    pthread_mutex_lock(&core->lock);
    int error = attach(core, member, joined);
    pthread_mutex_unlock(&core->lock);
    if (error == 0)
        return 0;
    leave_table(crew, member);
    jrc_member_unref(member);
    return error == EALREADY ? 0 : error;
}

void jrc_crew_leave(struct jrc_member *member)
{
    struct jrc_core *core = member->core;

    pthread_mutex_lock(&core->lock);
    bool is_member = core->leadership.member == member;
    if (is_member) {
        jrc_member_unpoll(member);
        core->leadership.member = *member->joined = NULL;
        if (!core->life.closing && core->leadership.leader == JRC_NO_LEADER) {
            core->leadership.wake_requested = true;
            jrc_alarm_set(core, jrc_now_us(), 0);
        }
    }
    pthread_mutex_unlock(&core->lock);
    if (!is_member)
        return;
    leave_table(member->crew, member);
    jrc_member_unref(member);
}

void jsonrpcc_crew_dismiss(jsonrpcc_seat *seat)
{
    struct jrc_member *member = seat->held;

    if (member == NULL || jsonrpcc_crew_is_foreign(member->crew))
        return;
    seat->held = NULL;
    seat->token = 0;
    jrc_crew_leave(member);
    jrc_member_unref(member);
}
