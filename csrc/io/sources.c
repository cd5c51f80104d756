#include "io/sources.h"

#include "engine/files.h"
#include "engine/names.h"
#include "io/clock.h"
#include "io/event_base.h"

#include <unistd.h>

static void touch(void *arg, uint32_t id, bool moved)
{
    const struct jrc_sources *sources = arg;

    jrc_names_touch(sources->sockets->engine, id, moved, jrc_now_us());
}

static void on_change(evutil_socket_t fd, short what, void *arg)
{
    struct jrc_sources *sources = arg;

    (void)fd;
    (void)what;
    jrc_stay_awake(sources->sockets);
    jrc_file_watch_take(sources->watch, touch, sources);
}

/* Under fd_lock.  Without descriptors or memory, or beyond the user's limit,
 * files are looked at from time to time. */
static void open_watch(struct jrc_sources *sources)
{
    sources->watch = jrc_file_watch_new();
    if (sources->watch == NULL)
        return;
    int fd = jrc_file_watch_fd(sources->watch);
    if (event_assign(&sources->event, sources->sockets->base, fd,
                     EV_READ | EV_PERSIST, on_change, sources) == 0 &&
        jrc_event_add(&sources->event) == 0)
        return;
    jrc_file_watch_close(sources->watch);
    sources->watch = NULL;
}

static bool is_wanted(void *arg, uint32_t id)
{
    const struct jrc_sources *sources = arg;

    return jrc_discovery_find(&sources->sockets->engine->discovery, id) != NULL;
}

/* 0 or an errno. */
static int read_file(struct jrc_sources *sources, const struct jrc_name *name)
{
    struct jrc_sockets *sockets = sources->sockets;
    struct jrc_file_ask ask = {
        .defaults = {name->entry->priority, name->entry->weight}};
    const struct jrc_stamp *known = jrc_files_stamp(name);

    if (known != NULL)
        ask.known = *known;
    if (sources->watch == NULL) {
        pthread_mutex_lock(&sockets->fd_lock);
        open_watch(sources);
        pthread_mutex_unlock(&sockets->fd_lock);
    } else {
        jrc_file_watch_keep(sources->watch, is_wanted, sources);
    }
    return jrc_resolver_read(sockets->resolver, name->id, name->entry->host,
                             &ask, sources->watch);
}

static int begin(struct jrc_sources *sources, const struct jrc_name *name)
{
    if (name->entry->kind == JRC_ENTRY_FILE)
        return read_file(sources, name);
    return jrc_resolver_ask(sources->sockets->resolver, name->entry->kind,
                            name->id, name->entry->host, name->entry->port);
}

void jrc_sources_look_up(struct jrc_sources *sources, uint64_t now_us)
{
    struct jrc_engine *engine = sources->sockets->engine;
    const struct jrc_name *name;

    while ((name = jrc_names_lookup(engine, now_us)) != NULL) {
        struct jrc_answer failed = {.reason = begin(sources, name)};
        if (failed.reason != 0)
            jrc_names_answer(engine, name->id, &failed, now_us);
    }
}

void jrc_sources_close(struct jrc_sources *sources)
{
    if (sources->watch == NULL)
        return;
    event_del(&sources->event);
    jrc_file_watch_close(sources->watch);
    sources->watch = NULL;
}

void jrc_sources_abandon(const struct jrc_sources *sources)
{
    if (sources->watch != NULL)
        close(jrc_file_watch_fd(sources->watch));
}
