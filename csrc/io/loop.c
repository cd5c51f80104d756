#include "io/loop.h"

#include "engine/greeting.h"
#include "io/attempt.h"
#include "io/clock.h"
#include "io/event_base.h"
#include "io/sources.h"
#include "io/traffic.h"
#include "wire/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct jrc_loop {
    struct jrc_sockets sockets; /* first: test_loop.c looks into them */
    struct jrc_sources sources;
    struct event wake_event;
    struct event timer;
    uint64_t timer_us; /* when it goes off; JRC_NEVER: it is not set */
    int wake_fd;
    int timer_fd;
    int epoll_fd; /* libevent's, or -1 */
    int pipe[2];  /* likewise */
    _Atomic uint64_t wakeups;
    atomic_uint wakers; /* threads that may write to wake_fd */
    bool woken;         /* the eventfd was read: the resolver may have
                           answered */
};

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_loop *loop = arg;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    loop->woken = true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_loop *loop = arg;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    loop->timer_us = JRC_NEVER;
}

/* 0 or an errno. */
static int watch(struct jrc_loop *loop, struct event *event, int fd,
                 event_callback_fn fn)
{
    if (event_assign(event, loop->sockets.base, fd, EV_READ | EV_PERSIST, fn,
                     loop) != 0)
        return EINVAL;
    return jrc_event_add(event);
}

/* 0 or an errno; jrc_loop_free() removes whatever exists by then. */
static int start(struct jrc_loop *loop)
{
    int error;

    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0)
        return errno;
    loop->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0)
        return errno;
    loop->sockets.resolver = jrc_resolver_new(loop->wake_fd);
    if (loop->sockets.resolver == NULL)
        return ENOMEM;
    loop->sockets.base = jrc_event_base_new();
    if (loop->sockets.base == NULL)
        return errno;
    if ((error = watch(loop, &loop->timer, loop->timer_fd, on_timer)) != 0 ||
        (error = watch(loop, &loop->wake_event, loop->wake_fd, on_wake)) != 0)
        return error;
    /* A forked child should close its copies.  What is not found stays open
     * there, idle, until exec or exit. */
    loop->epoll_fd = jrc_event_base_fd(loop->wake_fd);
    jrc_event_base_pipe(loop->sockets.base, loop->pipe);
    return 0;
}

/* Sockets that there is room for. */
static size_t max(const struct jrc_loop *loop)
{
    return loop->sockets.engine->servers->max * loop->sockets.engine->width;
}

struct jrc_loop *jrc_loop_new(struct jrc_engine *engine,
                              const struct jrc_transport *transport)
{
    struct jrc_loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return NULL;
    loop->sockets.engine = engine;
    loop->sockets.transport = transport;
    loop->sockets.reading = true;
    loop->sockets.on_ready = jrc_socket_ready;
    loop->sources.sockets = &loop->sockets;
    loop->timer_us = JRC_NEVER;
    loop->epoll_fd = loop->pipe[0] = loop->pipe[1] = -1;
    pthread_mutex_init(&loop->sockets.fd_lock, NULL);
    loop->wake_fd = loop->timer_fd = -1;
    loop->sockets.list = jrc_pages_new(max(loop), sizeof *loop->sockets.list);
    int error = loop->sockets.list != NULL ? start(loop) : ENOMEM;
    if (error == 0)
        return loop;
    jrc_loop_free(loop);
    errno = error;
    return NULL;
}

/* Once this returns, no thread writes to wake_fd any more: later ones find the
 * loop awake. */
static void await_wakers(struct jrc_loop *loop)
{
    struct timespec moment = {.tv_nsec = 20000};

    atomic_store(&loop->sockets.asleep, false);
    while (atomic_load(&loop->wakers) > 0)
        nanosleep(&moment, NULL);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Sockets that there may be. */
static uint32_t count(const struct jrc_loop *loop)
{
    return loop->sockets.list != NULL
               ? jrc_engine_conn_count(loop->sockets.engine)
               : 0;
}

void jrc_loop_close(struct jrc_loop *loop)
{
    for (uint32_t i = 0; i < count(loop); i++)
        if (jrc_socket_exists(&loop->sockets, i))
            jrc_socket_shut(&loop->sockets.list[i]);
    jrc_resolver_free(loop->sockets.resolver);
    loop->sockets.resolver = NULL;
    await_wakers(loop);
    if (loop->sockets.base != NULL && event_initialized(&loop->wake_event))
        event_del(&loop->wake_event);
    if (loop->sockets.base != NULL && event_initialized(&loop->timer))
        event_del(&loop->timer);
    pthread_mutex_lock(&loop->sockets.fd_lock);
    jrc_sources_close(&loop->sources);
    jrc_given_close(&loop->sockets.given);
    if (loop->sockets.base != NULL)
        event_base_free(loop->sockets.base);
    loop->sockets.base = NULL;
    loop->epoll_fd = loop->pipe[0] = loop->pipe[1] = -1;
    close_fd(&loop->wake_fd);
    close_fd(&loop->timer_fd);
    pthread_mutex_unlock(&loop->sockets.fd_lock);
}

void jrc_loop_free(struct jrc_loop *loop)
{
    if (loop == NULL)
        return;
    jrc_loop_close(loop);
    jrc_pages_free(loop->sockets.list, max(loop), sizeof *loop->sockets.list);
    pthread_mutex_destroy(&loop->sockets.fd_lock);
    free(loop);
}

void jrc_loop_act(struct jrc_loop *loop, uint64_t now_us)
{
    struct jrc_action action;

    while (jrc_engine_next(loop->sockets.engine, &action)) {
        struct jrc_socket *s = jrc_socket_of(&loop->sockets, action.conn);
        switch (action.todo) {
        case JRC_OPEN:
            jrc_socket_attempt(s, now_us);
            break;
        case JRC_NEXT_ADDRESS:
            jrc_socket_try_next(
                s, jrc_greeting_reason(loop->sockets.engine, action.conn));
            break;
        case JRC_SHUT:
            jrc_socket_shut(s);
            break;
        case JRC_MEASURE:
            jrc_socket_measure(s, now_us);
            break;
        default: /* JRC_WRITE; an event that is pending will do it */
            if (jrc_socket_is_connected(s) && !s->writing)
                jrc_socket_flush(s, now_us);
        }
    }
    jrc_sources_look_up(&loop->sources, now_us);
}

/* The timer may go off this much too early. */
enum { EARLY_US = 100000 };

/* Have the next wait end at until_us at the latest.  False: that has passed.
 *
 * A timer that goes off slightly early is left alone, since the worst case is
 * one look too many.  So a thread that calls and waits in a loop sets it
 * occasionally, not for every wait, which is why it is not a timeout of the
 * poll. */
static bool set_timer(struct jrc_loop *loop, uint64_t until_us)
{
    if (until_us >= loop->timer_us && until_us - loop->timer_us < EARLY_US)
        return true;
    if (until_us <= jrc_now_us())
        return false;
    struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(until_us / 1000000),
                     .tv_nsec = (long)(until_us % 1000000 * 1000)},
    };
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) != 0)
        return false;
    loop->timer_us = until_us;
    return true;
}

bool jrc_loop_set_timer(struct jrc_loop *loop, uint64_t until_us)
{
    return until_us == JRC_NEVER || set_timer(loop, until_us);
}

bool jrc_loop_poll(struct jrc_loop *loop, uint64_t until_us)
{
    int flags = EVLOOP_ONCE;
    bool woken;

    /* One system call instead of two, and a poll is the more expensive one. */
    if (until_us == 0 && jrc_sockets_look(&loop->sockets))
        return false;
    if (!jrc_loop_set_timer(loop, until_us))
        flags |= EVLOOP_NONBLOCK; /* EVLOOP_NONBLOCK alone would continue
                                     while there is more */
    event_base_loop(loop->sockets.base, flags);
    jrc_stay_awake(&loop->sockets);
    woken = loop->woken;
    loop->woken = false;
    if (woken)
        jrc_sockets_take_answers(&loop->sockets);
    return woken;
}

void jrc_loop_give(struct jrc_loop *loop, struct jrc_given *given)
{
    loop->sockets.given = *given;
    *given = (struct jrc_given){0};
}

int jrc_loop_fd(const struct jrc_loop *loop)
{
    return loop->epoll_fd;
}

void jrc_loop_set_asleep(struct jrc_loop *loop)
{
    atomic_store_explicit(&loop->sockets.asleep, true, memory_order_relaxed);
}

__attribute__((noinline)) static void wake_up(struct jrc_loop *loop)
{
    atomic_fetch_add(&loop->wakers, 1);
    /* The thread that clears it writes: one write wakes the loop for all. */
    if (atomic_exchange(&loop->sockets.asleep, false)) {
        atomic_fetch_add_explicit(&loop->wakeups, 1, memory_order_relaxed);
        (void)!write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    }
    atomic_fetch_sub(&loop->wakers, 1);
}

void jrc_loop_wake(struct jrc_loop *loop)
{
    if (atomic_load_explicit(&loop->sockets.asleep, memory_order_relaxed))
        wake_up(loop);
}

uint64_t jrc_loop_wakeups(const struct jrc_loop *loop)
{
    return jrc_read(&loop->wakeups);
}

void jrc_loop_set_reading(struct jrc_loop *loop, bool reading)
{
    jrc_sockets_set_reading(&loop->sockets, reading);
}

/* ---- fork ---- */

void jrc_loop_lock_fds(struct jrc_loop *loop)
{
    pthread_mutex_lock(&loop->sockets.fd_lock);
}

void jrc_loop_unlock_fds(struct jrc_loop *loop)
{
    pthread_mutex_unlock(&loop->sockets.fd_lock);
}

void jrc_loop_abandon(struct jrc_loop *loop)
{
    for (uint32_t i = 0; i < count(loop); i++) {
        const struct jrc_socket *s = &loop->sockets.list[i];
        if (jrc_socket_exists(&loop->sockets, i) && s->stream.fd >= 0)
            close(s->stream.fd);
    }
    for (size_t i = 0; i < loop->sockets.given.count; i++)
        close(loop->sockets.given.list[i].fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    close_fd(&loop->pipe[0]);
    close_fd(&loop->pipe[1]);
    jrc_sources_abandon(&loop->sources);
    close_fd(&loop->wake_fd);
    close_fd(&loop->timer_fd);
}
