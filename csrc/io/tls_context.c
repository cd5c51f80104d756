#include "io/tls_context.h"

#include <errno.h>

#ifdef JRC_TLS

#include "io/clock.h"
#include "io/tls_buffers.h"
#include "io/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jrc_tls_context *list;

/* ---- fork and exit ---- */

void jrc_tls_lock_all(void)
{
    pthread_mutex_lock(&list_lock);
    for (struct jrc_tls_context *c = list; c != NULL; c = c->next)
        pthread_mutex_lock(&c->lock);
}

void jrc_tls_unlock_all(void)
{
    for (struct jrc_tls_context *c = list; c != NULL; c = c->next)
        pthread_mutex_unlock(&c->lock);
    pthread_mutex_unlock(&list_lock);
}

static void at_exit(void)
{
    jrc_tls_lock_all();
    for (struct jrc_tls_context *c = list; c != NULL; c = c->next)
        c->exiting = true;
    jrc_tls_unlock_all();
}

/* OpenSSL is told not to clean up at exit.  If another part of the program has
 * initialized it without that, at_exit() runs before OpenSSL's handler. */
static void begin(void)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    atexit(at_exit);
}

bool jrc_tls_lock(struct jrc_tls_context *context)
{
    pthread_mutex_lock(&context->lock);
    if (!context->exiting)
        return true;
    pthread_mutex_unlock(&context->lock);
    return false;
}

void jrc_tls_unlock(struct jrc_tls_context *context)
{
    pthread_mutex_unlock(&context->lock);
}

/* ---- files that change ---- */

/* How often files are read in a row that change meanwhile. */
enum { READS = 3 };

static void stamp(const char *path, struct jrc_tls_stamp *stamp)
{
    struct stat status;

    memset(stamp, 0, sizeof *stamp);
    if (path == NULL || stat(path, &status) != 0)
        return;
    stamp->device = status.st_dev;
    stamp->number = status.st_ino;
    stamp->size = status.st_size;
    stamp->changed = status.st_mtim;
    stamp->moved = status.st_ctim;
}

static void stamp_all(const struct jrc_tls_options *options,
                      struct jrc_tls_stamp stamps[3])
{
    stamp(options->ca, &stamps[0]);
    stamp(options->cert, &stamps[1]);
    stamp(options->key, &stamps[2]);
}

/* Under the lock.  The stamps are taken before the files are read, so that a
 * change in the meantime is noticed; then they are read again at once, as what
 * was read may be half of the change, and the other half would be news once
 * more. */
static int load(struct jrc_tls_context *context, char *why, size_t why_size)
{
    struct jrc_tls_stamp after[3];
    struct ssl_ctx_st *loaded = NULL;
    int64_t expires_s = 0;
    int error = 0;

    for (int left = READS; left > 0; left--) {
        SSL_CTX_free(loaded);
        loaded = NULL;
        if (why_size > 0)
            why[0] = '\0';
        stamp_all(&context->options, context->stamps);
        error =
            jrc_tls_load(&context->options, &loaded, &expires_s, why, why_size);
        stamp_all(&context->options, after);
        if (memcmp(after, context->stamps, sizeof after) == 0)
            break;
    }
    if (error != 0)
        return error;
    SSL_CTX_free(context->current);
    context->current = loaded;
    context->version++;
    context->info.expires_s = expires_s;
    return 0;
}

static void plan_check(struct jrc_tls_context *context, uint64_t now_us)
{
    int32_t reload_ms = context->options.reload_ms;

    context->check_us =
        reload_ms < 0 ? UINT64_MAX : now_us + (uint64_t)reload_ms * 1000;
}

/* Under the lock: read the files.  Returns whether there is something to
 * report. */
static bool reload(struct jrc_tls_context *context, bool changed,
                   int32_t *reason)
{
    char why[sizeof context->info.why] = "";
    int error = load(context, why, sizeof why);
    bool is_news = error == 0 ? changed || context->refused
                              : strcmp(why, context->info.why) != 0;

    context->refused = error != 0;
    context->doubted = false;
    memcpy(context->info.why, why, sizeof why);
    context->info.reloads += error == 0 && is_news;
    context->info.refusals += error != 0 && is_news;
    *reason = error;
    return is_news;
}

bool jrc_tls_context_check(struct jrc_tls_context *context, uint64_t now_us,
                           int32_t *reason)
{
    struct jrc_tls_stamp now[3];
    bool is_news = false;

    if (!jrc_tls_lock(context))
        return false;
    if (now_us >= context->check_us) {
        plan_check(context, now_us);
        stamp_all(&context->options, now);
        bool changed = memcmp(now, context->stamps, sizeof now) != 0;
        /* Files that were refused may have been read in the middle of a
         * change.  And when memory runs out, OpenSSL does not always report
         * it: then handshakes fail. */
        if (changed || context->refused || context->doubted)
            is_news = reload(context, changed, reason);
    }
    jrc_tls_unlock(context);
    return is_news;
}

uint64_t jrc_tls_context_next_us(struct jrc_tls_context *context)
{
    return context->check_us; /* the leader's, who is the one to ask */
}

void jrc_tls_context_info(struct jrc_tls_context *context,
                          jsonrpcc_tls_info *info)
{
    pthread_mutex_lock(&context->lock);
    *info = context->info;
    pthread_mutex_unlock(&context->lock);
}

bool jrc_tls_context_has_own(const struct jrc_tls_context *context)
{
    return context != NULL && context->options.cert != NULL;
}

/* ---- life ---- */

static void enlist(struct jrc_tls_context *context)
{
    pthread_mutex_lock(&list_lock);
    context->next = list;
    list = context;
    pthread_mutex_unlock(&list_lock);
}

/* Under list_lock, which fork() and exit() wait for. */
static void destroy(struct jrc_tls_context *context)
{
    struct jrc_tls_context **at = &list;

    while (*at != NULL && *at != context)
        at = &(*at)->next;
    if (*at == context)
        *at = context->next;
    if (!context->exiting) {
        SSL_CTX_free(context->current);
        BIO_meth_free(context->method);
        jrc_tls_options_clear(&context->options);
    }
    pthread_mutex_destroy(&context->lock);
    free(context);
}

int jrc_tls_context_new(const jsonrpcc_tls *given,
                        struct jrc_tls_context **result, char *why,
                        size_t why_size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct jrc_tls_context *context = calloc(1, sizeof *context);

    if (context == NULL)
        return ENOMEM;
    pthread_once(&once, begin);
    pthread_mutex_init(&context->lock, NULL);
    atomic_init(&context->refs, 1);
    int error = jrc_tls_options_copy(&context->options, given, why, why_size);
    if (error == 0)
        error = load(context, why, why_size);
    if (error == 0) {
        context->method = jrc_tls_buffers_method();
        error = context->method == NULL ? ENOMEM : 0;
    }
    plan_check(context, jrc_now_us());
    enlist(context);
    if (error == 0)
        *result = context;
    else
        jrc_tls_context_unref(context);
    return error;
}

struct jrc_tls_context *jrc_tls_context_ref(struct jrc_tls_context *context)
{
    if (context != NULL)
        atomic_fetch_add(&context->refs, 1);
    return context;
}

void jrc_tls_context_unref(struct jrc_tls_context *context)
{
    if (context == NULL || atomic_fetch_sub(&context->refs, 1) != 1)
        return;
    pthread_mutex_lock(&list_lock);
    destroy(context);
    pthread_mutex_unlock(&list_lock);
}

#else

#include <stdio.h>

int jrc_tls_context_new(const jsonrpcc_tls *given,
                        struct jrc_tls_context **context, char *why,
                        size_t why_size)
{
    (void)given;
    (void)context;
    snprintf(why, why_size, "tls: this build has no TLS");
    return EINVAL;
}

#endif
