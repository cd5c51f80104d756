/* What all TLS connections of a client have in common: what they trust and
 * show, read anew when the files change, and one lock.
 *
 * The lock is around every use of OpenSSL for this client, so that neither
 * fork() nor exit() catches a thread in the middle of one: OpenSSL's own locks
 * would stay locked in the child, and what it cleans up at exit would be in
 * use.  No thread that holds it waits for another lock of ours. */

#ifndef JRC_TLS_CONTEXT_H
#define JRC_TLS_CONTEXT_H

#include "jsonrpcc.h"

#ifdef JRC_TLS

#include "io/tls_options.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

struct ssl_ctx_st;
struct bio_method_st;

/* What says that a file has changed. */
struct jrc_tls_stamp {
    dev_t device;
    ino_t number;
    off_t size;
    struct timespec changed, moved; /* its contents, and its place */
};

/* The client owns a reference, and so does each of its cores. */
struct jrc_tls_context {
    atomic_uint refs;
    pthread_mutex_t lock; /* guards all that follows */
    struct jrc_tls_options options;
    struct ssl_ctx_st *current; /* for new connections */
    struct bio_method_st *method;
    unsigned version; /* of current: it counts reloads */
    bool exiting;     /* OpenSSL must not be used any more */
    uint64_t check_us;
    struct jrc_tls_stamp stamps[3]; /* ca, cert, key: as last read */
    bool refused;                   /* the last time they were read */
    bool doubted;                   /* since then a handshake has failed */
    jsonrpcc_tls_info info;
    struct jrc_tls_context *next; /* in the list of all */
};

/* Read what users gave, and all the files.  Returns 0; or EINVAL or ENOMEM, and
 * why says what is wrong. */
int jrc_tls_context_new(const jsonrpcc_tls *given,
                        struct jrc_tls_context **context, char *why,
                        size_t why_size);
struct jrc_tls_context *jrc_tls_context_ref(struct jrc_tls_context *context);
void jrc_tls_context_unref(struct jrc_tls_context *context); /* NULL: nothing */

/* Whether we have a certificate of our own, which servers may refuse when the
 * connection is established.  NULL: no. */
bool jrc_tls_context_has_own(const struct jrc_tls_context *context);

/* If it is time, look whether the files have changed, and read them if so.
 * True: there is something to tell; *reason is 0 if new connections use what
 * was read, and otherwise why they do not. */
bool jrc_tls_context_check(struct jrc_tls_context *context, uint64_t now_us,
                           int32_t *reason);

/* When to check next; UINT64_MAX: never. */
uint64_t jrc_tls_context_next_us(struct jrc_tls_context *context);

void jrc_tls_context_info(struct jrc_tls_context *context,
                          jsonrpcc_tls_info *info);

/* Lock, for a use of OpenSSL.  False: the process is at its end, and nothing
 * may be used; it is unlocked again. */
bool jrc_tls_lock(struct jrc_tls_context *context);
void jrc_tls_unlock(struct jrc_tls_context *context);

/* Around fork(): no thread is inside of OpenSSL for any client. */
void jrc_tls_lock_all(void);
void jrc_tls_unlock_all(void);

#else

struct jrc_tls_context;

int jrc_tls_context_new(const jsonrpcc_tls *given,
                        struct jrc_tls_context **context, char *why,
                        size_t why_size);

static inline struct jrc_tls_context *jrc_tls_context_ref(
    struct jrc_tls_context *context)
{
    return context;
}

static inline void jrc_tls_context_unref(struct jrc_tls_context *context)
{
    (void)context;
}

static inline bool jrc_tls_context_has_own(
    const struct jrc_tls_context *context)
{
    (void)context;
    return false;
}

static inline bool jrc_tls_context_check(struct jrc_tls_context *context,
                                         uint64_t now_us, int32_t *reason)
{
    (void)context;
    (void)now_us;
    (void)reason;
    return false;
}

static inline uint64_t jrc_tls_context_next_us(struct jrc_tls_context *context)
{
    (void)context;
    return UINT64_MAX;
}

static inline void jrc_tls_context_info(struct jrc_tls_context *context,
                                        jsonrpcc_tls_info *info)
{
    (void)context;
    (void)info;
}

static inline void jrc_tls_lock_all(void)
{
}

static inline void jrc_tls_unlock_all(void)
{
}

#endif
#endif
