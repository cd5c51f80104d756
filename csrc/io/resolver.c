#include "io/resolver.h"

#include "io/lookup.h"
#include "io/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is first in the queue of lookups, then held by a thread, then in the queue of
 * answers. */
struct lookup {
    struct lookup *next;
    struct jrc_found found;
    uint16_t port;
    struct jrc_file_ask ask; /* of a file */
    struct jrc_file_watch *watch;
    char host[]; /* or path */
};

struct lookups {
    struct lookup *first, **last;
};

struct jrc_resolver {
    pthread_mutex_t lock;
    unsigned threads; /* each of them, and the owner, keeps the struct alive */
    bool closed;
    int wake_fd;
    struct lookups asked, answered;
};

static void append(struct lookups *lookups, struct lookup *lookup)
{
    lookup->next = NULL;
    *lookups->last = lookup;
    lookups->last = &lookup->next;
}

static struct lookup *take(struct lookups *lookups)
{
    struct lookup *lookup = lookups->first;

    if (lookup == NULL)
        return NULL;
    lookups->first = lookup->next;
    if (lookups->first == NULL)
        lookups->last = &lookups->first;
    return lookup;
}

static void drop(struct lookup *lookup)
{
    jrc_endpoints_free(lookup->found.endpoints);
    jrc_answer_clear(&lookup->found.answer);
    jrc_file_watch_unref(lookup->watch);
    free(lookup);
}

struct jrc_resolver *jrc_resolver_new(int wake_fd)
{
    struct jrc_resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL)
        return NULL;
    pthread_mutex_init(&resolver->lock, NULL);
    resolver->wake_fd = wake_fd;
    resolver->asked.last = &resolver->asked.first;
    resolver->answered.last = &resolver->answered.first;
    return resolver;
}

/* The last one to leave frees the struct. */
static void leave(struct jrc_resolver *resolver)
{
    bool last = resolver->closed && resolver->threads == 0;
    struct lookup *lookup;

    pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    while ((lookup = take(&resolver->asked)) != NULL)
        drop(lookup);
    while ((lookup = take(&resolver->answered)) != NULL)
        drop(lookup);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

void jrc_resolver_free(struct jrc_resolver *resolver)
{
    if (resolver == NULL)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->closed = true;
    leave(resolver);
}

static void read_file(struct lookup *lookup)
{
    char path[JRC_FILE_PATH + 1];

    if (lookup->watch != NULL)
        jrc_file_watch_add(lookup->watch, lookup->found.tag,
                           jrc_file_path(path, lookup->host));
    jrc_file_read(lookup->host, &lookup->ask, &lookup->found.answer);
}

static void look_up(struct lookup *lookup)
{
    struct jrc_found *found = &lookup->found;

    if (found->kind == JRC_ENTRY_FILE)
        read_file(lookup);
    else if (found->kind == JRC_ENTRY_SERVER)
        found->error = jrc_endpoints_find(lookup->host, lookup->port, AF_UNSPEC,
                                          &found->endpoints);
    else
        jrc_lookup(found->kind, lookup->host, lookup->port, &found->answer);
}

static void *resolver_thread(void *arg)
{
    struct jrc_resolver *resolver = arg;
    struct lookup *lookup;

    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closed && (lookup = take(&resolver->asked)) != NULL) {
        pthread_mutex_unlock(&resolver->lock);
        look_up(lookup);
        pthread_mutex_lock(&resolver->lock);
        append(&resolver->answered, lookup);
        /* Under the lock: once closed, the descriptor may belong to something
         * else. */
        if (!resolver->closed)
            (void)!write(resolver->wake_fd, &(uint64_t){1}, 8);
    }
    resolver->threads--;
    leave(resolver);
    return NULL;
}

/* Under the lock.  A failure matters only if there is no thread at all. */
static int start_thread(struct jrc_resolver *resolver)
{
    int error = jrc_thread_start(resolver_thread, resolver, 0);

    resolver->threads += error == 0;
    return error;
}

static struct lookup *make(enum jrc_entry_kind kind, uint32_t tag,
                           const char *host)
{
    size_t size = strlen(host) + 1;
    struct lookup *lookup = calloc(1, sizeof *lookup + size);

    if (lookup == NULL)
        return NULL;
    lookup->found.kind = kind;
    lookup->found.tag = tag;
    memcpy(lookup->host, host, size);
    return lookup;
}

/* Takes it over. */
static int begin(struct jrc_resolver *resolver, struct lookup *lookup)
{
    int error = 0;

    pthread_mutex_lock(&resolver->lock);
    append(&resolver->asked, lookup);
    if (resolver->threads < JRC_RESOLVER_THREADS)
        error = start_thread(resolver);
    if (resolver->threads > 0)
        error = 0;
    else
        drop(take(&resolver->asked));
    pthread_mutex_unlock(&resolver->lock);
    return error;
}

int jrc_resolver_ask(struct jrc_resolver *resolver, enum jrc_entry_kind kind,
                     uint32_t tag, const char *host, uint16_t port)
{
    struct lookup *lookup = make(kind, tag, host);

    if (lookup == NULL)
        return ENOMEM;
    lookup->port = port;
    return begin(resolver, lookup);
}

int jrc_resolver_read(struct jrc_resolver *resolver, uint32_t tag,
                      const char *path, const struct jrc_file_ask *ask,
                      struct jrc_file_watch *watch)
{
    struct lookup *lookup = make(JRC_ENTRY_FILE, tag, path);

    if (lookup == NULL)
        return ENOMEM;
    lookup->ask = *ask;
    lookup->watch = watch != NULL ? jrc_file_watch_ref(watch) : NULL;
    return begin(resolver, lookup);
}

bool jrc_resolver_take(struct jrc_resolver *resolver, struct jrc_found *found)
{
    pthread_mutex_lock(&resolver->lock);
    struct lookup *lookup = take(&resolver->answered);
    pthread_mutex_unlock(&resolver->lock);
    if (lookup == NULL)
        return false;
    *found = lookup->found;
    jrc_file_watch_unref(lookup->watch);
    free(lookup);
    return true;
}
