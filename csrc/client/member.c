#include "client/member.h"

#include "client/work.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

/* A submission waits this long for the thread that runs to come back. */
enum { CALL_US = 100 };

static bool control(const struct jrc_member *member, int operation,
                    uint32_t events)
{
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)member->serial << 32 | member->slot,
    };

    return epoll_ctl(member->crew->epoll_fd, operation,
                     jrc_loop_fd(member->core->loop), &event) == 0;
}

bool jrc_member_poll(struct jrc_member *member)
{
    member->is_polled = control(member, EPOLL_CTL_ADD, EPOLLIN);
    return member->is_polled;
}

void jrc_member_unpoll(struct jrc_member *member)
{
    if (member->is_polled)
        control(member, EPOLL_CTL_DEL, 0);
    member->is_polled = member->is_watched = false;
}

void jrc_member_mask(struct jrc_member *member)
{
    if (member->is_polled && !member->is_masked)
        member->is_masked = control(member, EPOLL_CTL_MOD, 0);
}

void jrc_member_watch(struct jrc_core *core, bool now)
{
    struct jrc_member *member = core->leadership.member;

    if (member->is_masked)
        member->is_masked = !control(member, EPOLL_CTL_MOD, EPOLLIN);
    member->is_watched = true;
    core->leadership.poller_wants = false;
    jrc_loop_set_asleep(core->loop);
    if (now || jrc_has_work(core) ||
        !jrc_loop_set_timer(core->loop, jrc_next_turn_us(core)))
        jrc_loop_wake(core->loop);
}

/* The crew is all in callbacks: the lookout has to lead, unless one of them
 * returns at once. */
static void call_lookout(struct jsonrpcc_crew *crew)
{
    struct itimerspec spec = {.it_value = {.tv_nsec = CALL_US * 1000}};

    if (atomic_load_explicit(&crew->is_unattended, memory_order_relaxed) &&
        !atomic_exchange(&crew->is_called, true))
        timerfd_settime(crew->alarm_fd, 0, &spec, NULL);
}

bool jrc_member_wake(struct jrc_core *core)
{
    struct jrc_member *member = core->leadership.member;

    /* It leads when its callback returns.  If that takes long, another thread
     * does, see jrc_crew_run(). */
    if (member->is_held && pthread_equal(member->holder, pthread_self()))
        return false;
    if (!member->is_watched)
        jrc_member_watch(core, true);
    call_lookout(member->crew);
    return true;
}

void jrc_member_tell(struct jrc_member *member)
{
    struct jsonrpcc_crew *crew = member->crew;

    if (atomic_exchange(&member->is_told, true))
        return;
    member->next_told = atomic_load(&crew->told);
    while (
        !atomic_compare_exchange_weak(&crew->told, &member->next_told, member))
        continue;
    jrc_crew_wake(crew);
}
