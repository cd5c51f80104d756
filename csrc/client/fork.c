/* A child must neither use nor disturb what it inherits.
 *
 * Locks are taken in this order: the one around opening, the lists', those of
 * each hook, the inner ones, then TLS's; the thread that forks takes
 * them all.  So no descriptor is half open, and no lock is held by a thread
 * that the child does not have. */

#include "client/fork.h"

#include "io/tls_context.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static pthread_mutex_t opening_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jrc_fork_watch *list;
static struct jrc_fork_inner *inner_list;
static atomic_uint count; /* of the list */
static unsigned generation;

unsigned jrc_fork_generation(void)
{
    return generation; /* changes only in a child that still has one thread */
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
    for (struct jrc_fork_watch *w = list; w != NULL; w = w->next)
        w->hooks->lock(w->arg);
    for (struct jrc_fork_inner *i = inner_list; i != NULL; i = i->next)
        pthread_mutex_lock(i->lock);
    jrc_tls_lock_all();
}

static void resume(void)
{
    jrc_tls_unlock_all();
    for (struct jrc_fork_inner *i = inner_list; i != NULL; i = i->next)
        pthread_mutex_unlock(i->lock);
    for (struct jrc_fork_watch *w = list; w != NULL; w = w->next)
        w->hooks->unlock(w->arg);
    pthread_mutex_unlock(&list_lock);
    pthread_mutex_unlock(&opening_lock);
}

static void start_child(void)
{
    generation++;
    for (struct jrc_fork_watch *w = list; w != NULL; w = w->next)
        w->hooks->abandon(w->arg);
    for (struct jrc_fork_inner *i = inner_list; i != NULL; i = i->next)
        if (i->abandon != NULL)
            i->abandon();
    resume();
    list = NULL;
    atomic_store(&count, 0);
}

/* Runs when the library is loaded.  If a fork() is under way at that moment,
 * its child runs none of these handlers, so it must not find a lock taken for
 * it. */
__attribute__((constructor)) static void register_handlers(void)
{
    pthread_atfork(prepare, resume, start_child);
}

unsigned jrc_fork_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

bool jrc_fork_any(bool (*is)(void *arg))
{
    bool any = false;

    pthread_mutex_lock(&list_lock);
    for (struct jrc_fork_watch *w = list; w != NULL && !any; w = w->next)
        any = is(w->arg);
    pthread_mutex_unlock(&list_lock);
    return any;
}

void jrc_fork_watch(struct jrc_fork_watch *watch,
                    const struct jrc_fork_hooks *hooks, void *arg)
{
    pthread_mutex_lock(&list_lock);
    *watch = (struct jrc_fork_watch){hooks, arg, list, NULL};
    if (list != NULL)
        list->prev = watch;
    list = watch;
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&list_lock);
}

void jrc_fork_unwatch(struct jrc_fork_watch *watch)
{
    pthread_mutex_lock(&list_lock);
    if (watch->prev != NULL || list == watch)
        atomic_fetch_sub_explicit(&count, 1, memory_order_relaxed);
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else if (list == watch)
        list = watch->next;
    if (watch->next != NULL)
        watch->next->prev = watch->prev;
    watch->next = watch->prev = NULL;
    pthread_mutex_unlock(&list_lock);
}

void jrc_fork_watch_inner(struct jrc_fork_inner *inner)
{
    pthread_mutex_lock(&list_lock);
    inner->next = inner_list;
    inner_list = inner;
    pthread_mutex_unlock(&list_lock);
}
