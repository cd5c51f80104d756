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
    char host[];
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

static void look_up(struct lookup *lookup)
{
    struct jrc_found *found = &lookup->found;

    if (found->kind == JRC_ENTRY_SERVER)
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

int jrc_resolver_ask(struct jrc_resolver *resolver, enum jrc_entry_kind kind,
                     uint32_t tag, const char *host, uint16_t port)
{
    size_t size = strlen(host) + 1;
    struct lookup *lookup = calloc(1, sizeof *lookup + size);
    int error = 0;

    if (lookup == NULL)
        return ENOMEM;
    lookup->found.kind = kind;
    lookup->found.tag = tag;
    lookup->port = port;
    memcpy(lookup->host, host, size);
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

bool jrc_resolver_take(struct jrc_resolver *resolver, struct jrc_found *found)
{
    pthread_mutex_lock(&resolver->lock);
    struct lookup *lookup = take(&resolver->answered);
    pthread_mutex_unlock(&resolver->lock);
    if (lookup == NULL)
        return false;
    *found = lookup->found;
    free(lookup);
    return true;
}
