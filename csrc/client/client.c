/* The public API of a client and its calls: checks what callers pass, and finds
 * the core. */

#include "client/client.h"

#include "api/bulk.h"
#include "client/consumer.h"
#include "client/hello.h"
#include "client/host.h"
#include "client/lifecycle.h"
#include "client/line.h"
#include "client/method_names.h"
#include "client/options.h"
#include "client/server_list.h"
#include "client/submit.h"
#include "wire/growth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jsonrpcc_client {
    jsonrpcc_options options; /* complete; servers is ours */
    char *servers;
    struct jrc_tls_context *tls; /* NULL: no TLS */
    struct jrc_method_names *names;
    struct jrc_hello *hello; /* NULL: none */
    struct jrc_core *_Atomic core;
    atomic_uint refs;   /* the caller's, and one per waiter */
    atomic_bool closed; /* outlives fork(), unlike the core */
};

/* The status for an errno. */
static jsonrpcc_status status_of(int error)
{
    switch (error) {
    case EINVAL:
        return JSONRPCC_EINVAL;
    case ENOMEM:
        return JSONRPCC_ENOMEM;
    default:
        return (jsonrpcc_status)(JSONRPCC_SYSTEM + error);
    }
}

/* ---- life ---- */

unsigned jsonrpcc_client_count(void)
{
    return jrc_fork_count();
}

void jrc_client_ref(jsonrpcc_client *client)
{
    atomic_fetch_add(&client->refs, 1);
}

void jrc_client_unref(jsonrpcc_client *client)
{
    if (atomic_fetch_sub(&client->refs, 1) != 1)
        return;
    free(client->servers);
    jrc_method_names_free(client->names);
    jrc_hello_unref(client->hello);
    jrc_tls_context_unref(client->tls);
    free(client);
}

jsonrpcc_status jsonrpcc_client_new(const jsonrpcc_options *options,
                                    jsonrpcc_client **result, char *why,
                                    size_t why_size)
{
    char unused[1];
    jsonrpcc_options o;

    jrc_client_why(&why, &why_size, unused);
    why[0] = '\0';
    /* If an older caller's struct ends early, the rest reads as zero: the
     * defaults. */
    if (!jrc_growth_copy(&o, sizeof o, options, options->size)) {
        snprintf(why, why_size,
                 "an option is set that this version does not have");
        return JSONRPCC_EINVAL;
    }
    jrc_options_default(&o);
    if (o.servers == NULL)
        snprintf(why, why_size, "servers is missing");
    if (o.servers == NULL || !jrc_options_check(&o, why, why_size))
        return JSONRPCC_EINVAL;
    jsonrpcc_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return JSONRPCC_ENOMEM;
    atomic_init(&client->refs, 1);
    client->servers = strdup(o.servers);
    client->options = o;
    client->options.servers = client->servers;
    client->options.tls = NULL;
    client->options.hello = NULL;
    struct jrc_core *core = NULL;
    jrc_fork_lock_opening();
    client->names = jrc_method_names_new(jrc_options_methods(&o));
    int error = client->servers == NULL || client->names == NULL ? ENOMEM : 0;
    if (error == 0 && o.tls != NULL)
        error = jrc_tls_context_new(o.tls, &client->tls, why, why_size);
    if (error == 0)
        error = jrc_hello_read(&client->hello, &o, why, why_size);
    if (error == 0)
        error = jrc_core_new(&client->options, client->tls, client->hello, true,
                             &core, why, why_size);
    jrc_fork_unlock_opening();
    if (error != 0) {
        if (error != EINVAL)
            jsonrpcc_reason_text(error, why, why_size);
        jrc_client_unref(client);
        return status_of(error);
    }
    atomic_store(&client->core, core);
    *result = client;
    return JSONRPCC_OK;
}

/* In a forked child: a new core for the same options.  If several threads get
 * here, only the first creates one: a second core would connect, too. */
__attribute__((noinline)) static struct jrc_core *reopen(
    jsonrpcc_client *client)
{
    char why[1];
    int error = 0;

    jrc_fork_lock_opening();
    struct jrc_core *core = atomic_load(&client->core);
    if (!jrc_core_is_ours(core)) {
        const struct jrc_core *stale = core;
        error = jrc_core_new(&client->options, client->tls, client->hello,
                             false, &core, why, sizeof why);
        if (error == 0) {
            /* Cancelling an inherited call must not cancel one of ours. */
            jrc_calls_begin_after(&core->submission.calls,
                                  &stale->submission.calls);
            atomic_store(&client->core, core);
        }
    }
    jrc_fork_unlock_opening();
    if (error != 0) {
        errno = error;
        return NULL;
    }
    /* Check only now that others can see the core: jsonrpcc_client_close() sets
     * closed before it looks for the core. */
    if (atomic_load(&client->closed))
        jrc_core_close(core, 0);
    return core;
}

uint32_t jrc_client_max_servers(const jsonrpcc_client *client)
{
    return client->options.max_servers;
}

jsonrpcc_status jrc_client_set_servers(jsonrpcc_client *client, char *text,
                                       struct jrc_server_list *list)
{
    /* A child that opens the client goes by one list or the other. */
    jrc_fork_lock_opening();
    struct jrc_core *core = atomic_load(&client->core);
    jsonrpcc_status status = JSONRPCC_OK;
    if (atomic_load(&client->closed)) {
        status = JSONRPCC_ECLOSED;
    } else if (jrc_core_is_ours(core)) {
        status = jrc_core_set_servers(core, list);
        list = NULL;
    }
    if (status == JSONRPCC_OK) {
        char *before = client->servers;
        client->options.servers = client->servers = text;
        text = before;
    }
    jrc_fork_unlock_opening();
    jrc_server_list_free(list); /* no core has taken it */
    free(text);
    return status;
}

const jsonrpcc_options *jrc_client_options(const jsonrpcc_client *client)
{
    return &client->options;
}

jsonrpcc_status jrc_client_set_hello(jsonrpcc_client *client,
                                     struct jrc_hello *hello)
{
    jrc_fork_lock_opening(); /* as for the list of servers */
    struct jrc_core *core = atomic_load(&client->core);
    jsonrpcc_status status = JSONRPCC_OK;
    if (atomic_load(&client->closed))
        status = JSONRPCC_ECLOSED;
    else if (jrc_core_is_ours(core))
        status = jrc_core_set_hello(core, jrc_hello_ref(hello));
    if (status == JSONRPCC_OK) {
        struct jrc_hello *before = client->hello;
        client->hello = hello;
        hello = before;
    }
    jrc_fork_unlock_opening();
    jrc_hello_unref(hello);
    return status;
}

struct jrc_core *jrc_client_core(jsonrpcc_client *client)
{
    struct jrc_core *core =
        atomic_load_explicit(&client->core, memory_order_acquire);

    return jrc_core_is_ours(core) ? core : reopen(client);
}

struct jrc_core *jrc_client_open_core(const jsonrpcc_client *client)
{
    struct jrc_core *core = atomic_load(&client->core);

    return jrc_core_is_ours(core) ? core : NULL;
}

const struct jrc_method_names *jrc_client_methods(const jsonrpcc_client *client)
{
    return client->names;
}

bool jsonrpcc_client_close(jsonrpcc_client *client, int32_t timeout_ms)
{
    atomic_store(&client->closed, true); /* first, see reopen() */
    struct jrc_core *core = atomic_load(&client->core);

    if (!jrc_core_is_ours(core))
        return true;
    jrc_core_ref(core); /* a callback may free the client */
    bool closed = jrc_core_close(core, timeout_ms);
    if (jrc_core_is_ours(core))
        jrc_core_unref(core);
    return closed;
}

void jsonrpcc_client_free(jsonrpcc_client *client)
{
    if (client == NULL)
        return;
    struct jrc_core *core = atomic_load(&client->core);
    if (jrc_core_is_ours(core)) {
        pthread_mutex_lock(&core->lock);
        jrc_host_abandon(core);
        pthread_mutex_unlock(&core->lock);
        jrc_core_close(core, 0);
        jrc_core_unref(core);
    }
    jrc_client_unref(client);
}

bool jsonrpcc_client_is_foreign(const jsonrpcc_client *client)
{
    return jrc_client_open_core(client) == NULL;
}

/* ---- calls ---- */

/* An older caller's struct ends early. */
__attribute__((noinline)) static jsonrpcc_status request_older(
    struct jrc_core *core, const jsonrpcc_call *call, uint64_t *id)
{
    jsonrpcc_call c;

    jrc_growth_copy(&c, sizeof c, call, call->size);
    return jrc_core_submit(core, &c, id);
}

jsonrpcc_status jsonrpcc_request(jsonrpcc_client *client,
                                 const jsonrpcc_call *call, uint64_t *id)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core == NULL)
        return status_of(errno);
    if (call->size < sizeof *call)
        return request_older(core, call, id);
    if (!jrc_is_known(call, call->size, sizeof *call))
        return JSONRPCC_EINVAL;
    return jrc_core_submit(core, call, id);
}

size_t jsonrpcc_request_many(jsonrpcc_client *client,
                             const jsonrpcc_call *calls, size_t count,
                             jsonrpcc_status *status)
{
    struct jrc_core *core = jrc_client_core(client);
    const char *at = (const char *)calls;
    size_t accepted = 0;

    *status = core == NULL ? status_of(errno) : JSONRPCC_OK;
    if (core == NULL || count == 0)
        return 0;
    if (calls->size == sizeof *calls)
        return jrc_core_submit_many(core, calls, calls->size, count, false,
                                    status);
    while (accepted < count) {
        *status = jsonrpcc_request(
            client, (const void *)(at + accepted * calls->size), NULL);
        if (*status != JSONRPCC_OK)
            break;
        accepted++;
    }
    return accepted;
}

size_t jrc_some_submit(const struct jrc_some *some, size_t count,
                       jsonrpcc_client *client, jsonrpcc_status *status)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core != NULL)
        return jrc_core_submit_many(core, some->calls, sizeof some->calls[0],
                                    count, true, status);
    *status = status_of(errno);
    return 0;
}

void jsonrpcc_cancel(jsonrpcc_client *client, uint64_t id)
{
    struct jrc_core *core = atomic_load(&client->core);

    if (jrc_core_is_ours(core))
        jrc_core_cancel(core, id);
}

void jsonrpcc_flush(jsonrpcc_client *client)
{
    struct jrc_core *core = atomic_load(&client->core);

    if (jrc_core_is_ours(core))
        jrc_core_flush(core);
}

void jsonrpcc_refused(jsonrpcc_client *client)
{
    struct jrc_core *core = atomic_load(&client->core);

    if (!jrc_core_is_ours(core))
        return;
    pthread_mutex_lock(&core->lock);
    core->submission.refused_full++;
    pthread_mutex_unlock(&core->lock);
}

uint32_t jsonrpcc_max_in_flight(jsonrpcc_client *client)
{
    return client->options.max_in_flight;
}

bool jsonrpcc_room(jsonrpcc_client *client, int32_t timeout_ms)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core == NULL)
        return true;
    if (core->host != NULL && jsonrpcc_in_callback(client))
        return false; /* only a poll of this thread could make room */
    return jrc_line_wait(core, timeout_ms);
}

void jsonrpcc_undelivered(jsonrpcc_client *client, int64_t bytes)
{
    struct jrc_core *core = atomic_load(&client->core);

    if (jrc_core_is_ours(core))
        jrc_consumer_keeps(core, bytes);
}

/* ---- what is going on ---- */

uint16_t jsonrpcc_method(jsonrpcc_client *client, const char *name,
                         size_t name_len)
{
    return jrc_method_names_find(client->names, name, name_len);
}

bool jsonrpcc_tls_get(jsonrpcc_client *client, jsonrpcc_tls_info *info,
                      size_t size)
{
    jsonrpcc_tls_info all = {0};

    if (client->tls == NULL)
        return false;
    jrc_tls_context_info(client->tls, &all);
    jrc_growth_give(info, size, &all, sizeof all);
    return true;
}
