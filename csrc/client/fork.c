/* fork(): what a child inherits it must neither use nor disturb.
 *
 * Locks are taken in this order, by the preparing thread only: the one around
 * opening, the list, then each core's lock, then its loop's fd_lock.  So no
 * descriptor is half-open and no lock is held by a thread that the child does
 * not have.  The child closes its copies of the descriptors and never touches
 * the rest. */

#include "client/core.h"

#include <unistd.h>

static pthread_mutex_t opening_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jrc_core *list;
static unsigned generation;

unsigned jrc_fork_generation(void)
{
    return generation; /* changes only in a child that has one thread yet */
}

void jrc_fork_lock_opening(void)
{
    pthread_mutex_lock(&opening_lock);
}

void jrc_fork_unlock_opening(void)
{
    pthread_mutex_unlock(&opening_lock);
}

static void prepare(void)
{
    pthread_mutex_lock(&opening_lock);
    pthread_mutex_lock(&list_lock);
    for (struct jrc_core *core = list; core != NULL; core = core->next) {
        pthread_mutex_lock(&core->lock);
        jrc_loop_lock_fds(core->loop);
    }
}

static void resume(void)
{
    for (struct jrc_core *core = list; core != NULL; core = core->next) {
        jrc_loop_unlock_fds(core->loop);
        pthread_mutex_unlock(&core->lock);
    }
    pthread_mutex_unlock(&list_lock);
    pthread_mutex_unlock(&opening_lock);
}

static void start_child(void)
{
    generation++;
    for (struct jrc_core *core = list; core != NULL; core = core->next) {
        jrc_loop_abandon(core->loop);
        if (core->leadership.alarm_fd >= 0)
            close(core->leadership.alarm_fd);
    }
    resume();
    list = NULL;
}

static void register_handlers(void)
{
    pthread_atfork(prepare, resume, start_child);
}

void jrc_fork_watch(struct jrc_core *core)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_handlers);
    pthread_mutex_lock(&list_lock);
    core->prev = NULL;
    core->next = list;
    if (list != NULL)
        list->prev = core;
    list = core;
    pthread_mutex_unlock(&list_lock);
}

void jrc_fork_unwatch(struct jrc_core *core)
{
    pthread_mutex_lock(&list_lock);
    if (core->prev != NULL)
        core->prev->next = core->next;
    else if (list == core)
        list = core->next;
    if (core->next != NULL)
        core->next->prev = core->prev;
    core->next = core->prev = NULL;
    pthread_mutex_unlock(&list_lock);
}
