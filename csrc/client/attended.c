#include "client/attended.h"

#include "client/iteration.h"
#include "client/leadership.h"
#include "io/clock.h"

#include <errno.h>
#include <sys/epoll.h>

static bool control(const struct jrc_attended *attended, int operation, int fd,
                    const struct jrc_attended_fd *of, uint32_t events)
{
    struct epoll_event event = {
        .events = events,
        .data.ptr = (void *)(uintptr_t)of,
    };

    return epoll_ctl(attended->epoll_fd, operation, fd, &event) == 0;
}

static bool control_loop(const struct jrc_attended *attended, int operation,
                         uint32_t events)
{
    return control(attended, operation, jrc_loop_fd(attended->core->loop),
                   &attended->loop, events);
}

bool jrc_attended_add(struct jrc_attended *attended)
{
    int alarm_fd = attended->core->leadership.alarm_fd;

    if (!control_loop(attended, EPOLL_CTL_ADD, EPOLLIN))
        return false;
    if (control(attended, EPOLL_CTL_ADD, alarm_fd, &attended->alarm, EPOLLIN))
        return true;
    int error = errno;
    control_loop(attended, EPOLL_CTL_DEL, 0);
    errno = error;
    return false;
}

void jrc_attended_remove(struct jrc_attended *attended)
{
    control_loop(attended, EPOLL_CTL_DEL, 0);
    control(attended, EPOLL_CTL_DEL, attended->core->leadership.alarm_fd,
            &attended->alarm, 0);
}

void jrc_attended_watch(struct jrc_core *core)
{
    struct jrc_attended *attended = core->leadership.attended;

    if (attended->is_masked)
        attended->is_masked = !control_loop(attended, EPOLL_CTL_MOD, EPOLLIN);
    if (attended->is_masked) { /* the system refused it: look now and then */
        jrc_alarm_set(core, jrc_now_us(), jrc_unattended_us(core));
        return;
    }
    core->leadership.is_watched = true;
    jrc_loop_set_asleep(core->loop);
    /* It may have ended in a turn of a crew, which cannot do the rest. */
    if (jrc_has_ended(core) || jrc_has_work(core) ||
        !jrc_loop_set_timer(core->loop, jrc_next_turn_us(core)))
        jrc_loop_wake(core->loop);
}

void jrc_attended_mask(struct jrc_attended *attended)
{
    if (!attended->is_masked)
        attended->is_masked = control_loop(attended, EPOLL_CTL_MOD, 0);
}
