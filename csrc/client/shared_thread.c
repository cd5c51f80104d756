#include "client/shared_thread.h"

#include "client/attended.h"
#include "client/leader.h"
#include "io/clock.h"
#include "io/thread.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    NAP_US = 1000, /* a crew's thread polls at least this often, or is in a
                      callback that takes long, */
    MOST_NAPS = 5  /* or it has too much to deliver */
};

/* The clients of this process.  Those that had the thread before are its own
 * business: when the last one leaves, it ends, and the next one gets another.
 */
static struct {
    pthread_mutex_t lock;
    int epoll_fd; /* -1: there is no thread */
    unsigned count;
    atomic_uint progress;  /* of crews' threads, in deliveries */
    atomic_uint polls;     /* of theirs */
    atomic_bool is_polled; /* one of them will poll */
    bool naps;             /* until this is false, or NAP_US have passed: */
    pthread_cond_t woken;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .epoll_fd = -1};

/* Under the lock: the thread ends when it has done what it is doing. */
static void close_shared(void)
{
    if (shared.epoll_fd >= 0)
        close(shared.epoll_fd);
    shared.epoll_fd = -1;
    shared.count = 0;
    shared.naps = false;
    atomic_store(&shared.is_polled, false);
}

/* ---- around fork() ---- */

static void abandon_in_child(void)
{
    close_shared();
    jrc_cond_init(&shared.woken); /* the parent's thread may wait for it */
}

__attribute__((constructor)) static void watch_forks(void)
{
    static struct jrc_fork_inner inner = {.lock = &shared.lock,
                                          .abandon = abandon_in_child};

    jrc_cond_init(&shared.woken);
    jrc_fork_watch_inner(&inner);
}

/* Returns whether it was the last one. */
static bool leave(struct jrc_attended *attended)
{
    pthread_mutex_lock(&shared.lock);
    jrc_attended_remove(attended);
    bool is_last = shared.count == 1;
    shared.count--;
    if (is_last)
        close_shared();
    pthread_mutex_unlock(&shared.lock);
    return is_last;
}

/* ---- the thread ---- */

/* What the event thread does while a crew's thread polls the loops. */
enum attention {
    ALL,    /* everything: none polls */
    OTHERS, /* what that one does not do, such as closing a client */
    ALARMS  /* of that, only these: to look at loops takes them out of the
               other's cache */
};

static enum jrc_watchdog look(const struct jrc_attended_fd *of,
                              enum attention attention)
{
    struct jrc_core *core = of->attended->core;
    uint64_t count;

    if (!of->is_alarm)
        return attention == ALARMS
                   ? JRC_WATCHDOG_GOES_ON
                   : jrc_watchdog_attend(core, attention == OTHERS);
    /* It may have been set to a later time, since it went off. */
    if (read(core->leadership.alarm_fd, &count, sizeof count) < 0)
        return JRC_WATCHDOG_GOES_ON;
    return jrc_watchdog_look(core);
}

/* Under the lock. */
static void unref(struct jrc_attended *attended)
{
    if (--attended->refs == 0)
        free(attended);
}

/* Handle what the last wait told of.  Those that have ended are freed at the
 * end, as another event may be of the same client.  Returns whether to wait
 * again. */
static bool handle(const struct epoll_event *events, int count,
                   enum attention attention)
{
    struct jrc_attended *ended = NULL, *next;
    bool is_last = false;

    for (int i = 0; i < count; i++) {
        const struct jrc_attended_fd *of = events[i].data.ptr;
        struct jrc_attended *attended = of->attended;
        if (attended->has_ended)
            continue;
        enum jrc_watchdog found = look(of, attention);
        if (found == JRC_WATCHDOG_FORKED)
            return false; /* like any function of a thread in a forked child */
        if (found == JRC_WATCHDOG_GOES_ON)
            continue;
        is_last = leave(attended);
        attended->has_ended = true;
        attended->next = ended;
        ended = attended;
        if (!attended->hooks->finish(attended->core))
            return false;
    }
    for (; ended != NULL; ended = next) {
        next = ended->next;
        pthread_mutex_lock(&shared.lock);
        unref(ended);
        pthread_mutex_unlock(&shared.lock);
    }
    return !is_last;
}

/* What the event thread last saw of crews' threads. */
struct seen {
    unsigned progress, polls;
    unsigned naps;   /* since they polled */
    unsigned alarms; /* times in a row that only those were looked at */
};

/* There are events.  A crew's thread polls if it has come on since this one
 * last looked, and has not forgotten to. */
static enum attention attend(struct seen *seen)
{
    struct seen now = {
        .progress = atomic_load(&shared.progress),
        .polls = atomic_load(&shared.polls),
        .alarms = seen->alarms,
    };

    now.naps = now.polls == seen->polls ? seen->naps + 1 : 1;
    bool will_poll = atomic_load(&shared.is_polled) &&
                     now.progress != seen->progress && now.naps <= MOST_NAPS;
    if (!will_poll)
        now.naps = 0;
    now.alarms = !will_poll || now.alarms == MOST_NAPS ? 0 : now.alarms + 1;
    *seen = now;
    return !will_poll ? ALL : now.alarms == 0 ? OTHERS : ALARMS;
}

/* Leave the loops to it for a while. */
static void nap(void)
{
    struct timespec until = jrc_timespec(jrc_now_us() + NAP_US);
    int error = 0;

    pthread_mutex_lock(&shared.lock);
    shared.naps = true;
    while (shared.naps && atomic_load(&shared.is_polled) && error == 0)
        error = pthread_cond_timedwait(&shared.woken, &shared.lock, &until);
    shared.naps = false;
    pthread_mutex_unlock(&shared.lock);
}

static void *shared_thread(void *arg)
{
    int epoll_fd = (int)(intptr_t)arg, count;
    struct epoll_event events[EVENTS];
    struct seen seen = {.progress = atomic_load(&shared.progress)};
    enum attention attention = ALL;

    do {
        if (attention != ALL)
            nap();
        count = epoll_wait(epoll_fd, events, EVENTS, -1);
        attention = count > 0 ? attend(&seen) : ALL;
    } while (handle(events, count, attention));
    return NULL;
}

/* ---- polling ---- */

/* Without waiting, and with a reference to each: the one to the core keeps it
 * when it ends meanwhile. */
static int look_once(struct epoll_event events[EVENTS])
{
    atomic_fetch_add_explicit(&shared.polls, 1, memory_order_relaxed);
    pthread_mutex_lock(&shared.lock);
    int count = shared.epoll_fd < 0
                    ? 0
                    : epoll_wait(shared.epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        const struct jrc_attended_fd *of = events[i].data.ptr;
        of->attended->refs++;
        jrc_core_ref(of->attended->core);
    }
    pthread_mutex_unlock(&shared.lock);
    return count;
}

static void drop(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        const struct jrc_attended_fd *of = events[i].data.ptr;
        of->attended->hooks->unref(of->attended->core);
        pthread_mutex_lock(&shared.lock);
        unref(of->attended);
        pthread_mutex_unlock(&shared.lock);
    }
}

void jrc_shared_will_poll(void)
{
    atomic_fetch_add_explicit(&shared.progress, 1, memory_order_relaxed);
    atomic_store_explicit(&shared.is_polled, true, memory_order_relaxed);
}

enum jrc_polled jrc_shared_poll(void)
{
    struct epoll_event events[EVENTS];
    int count = look_once(events);
    bool is_some = false, leads;

    for (int i = 0; i < count; i++) {
        const struct jrc_attended_fd *of = events[i].data.ptr;
        if (of->is_alarm)
            continue; /* the event thread's */
        if (!jrc_lead_watched(of->attended->core, &leads))
            return JRC_POLLED_FORKED;
        is_some |= leads;
    }
    drop(events, count);
    if (is_some)
        return JRC_POLLED_SOME;
    atomic_store(&shared.is_polled, false);
    pthread_mutex_lock(&shared.lock);
    if (shared.naps)
        pthread_cond_signal(&shared.woken);
    shared.naps = false;
    pthread_mutex_unlock(&shared.lock);
    return JRC_POLLED_NOTHING;
}

/* ---- joining ---- */

/* Under the lock: 0 or an errno. */
static int open_shared(void)
{
    shared.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return shared.epoll_fd < 0 ? errno : 0;
}

/* Under the lock: 0 or an errno. */
static int add(struct jrc_attended *attended)
{
    int error = shared.count > 0 ? 0 : open_shared();

    if (error != 0)
        return error;
    attended->epoll_fd = shared.epoll_fd;
    if (!jrc_attended_add(attended))
        error = errno;
    /* It finds nothing yet: nobody has set the alarm. */
    if (error == 0 && shared.count == 0)
        error = jrc_thread_start(
            shared_thread, (void *)(intptr_t)shared.epoll_fd, JRC_EVENT_STACK);
    shared.count += error == 0;
    if (shared.count == 0)
        close_shared();
    return error;
}

int jrc_shared_join(struct jrc_core *core, const struct jrc_shared_hooks *hooks)
{
    struct jrc_attended *attended = calloc(1, sizeof *attended);

    if (attended == NULL)
        return ENOMEM;
    attended->core = core;
    attended->loop.attended = attended->alarm.attended = attended;
    attended->alarm.is_alarm = true;
    attended->refs = 1;
    attended->hooks = hooks;
    core->leadership.attended = attended;
    pthread_mutex_lock(&shared.lock);
    int error = add(attended);
    pthread_mutex_unlock(&shared.lock);
    if (error != 0) {
        core->leadership.attended = NULL;
        free(attended);
    }
    return error;
}
