/* The public functions about callbacks: who runs them, and what they may do. */

#include "client/client.h"
#include "client/host_poll.h"
#include "client/iteration.h"
#include "client/leader.h"
#include "client/leadership.h"
#include "client/lifecycle.h"
#include "client/listener.h"

bool jsonrpcc_in_callback(jsonrpcc_client *client)
{
    struct jrc_core *core = jrc_client_open_core(client);

    if (core == NULL)
        return false;
    pthread_mutex_lock(&core->lock);
    bool mine = jrc_is_leader(core) || jrc_host_is_here(core);
    pthread_mutex_unlock(&core->lock);
    return mine;
}

void jsonrpcc_on_event(jsonrpcc_client *client, jsonrpcc_event_fn fn, void *arg)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core == NULL)
        return;
    if (core->host != NULL) {
        jrc_host_listen(core, fn, arg);
        return;
    }
    jrc_core_ref(core); /* a callback may free the client */
    jrc_listener_set(core, fn, arg);
    jrc_lead_closed(core);
    if (jrc_core_is_ours(core))
        jrc_core_unref(core);
}

void jsonrpcc_defer(jsonrpcc_client *client, jsonrpcc_deferred *deferred)
{
    struct jrc_core *core = jrc_client_open_core(client);

    if (core == NULL)
        return; /* the callback forked, which ended its turn */
    if (core->host != NULL)
        jrc_host_defer(core, deferred);
    else
        jrc_turn_defer(core, deferred);
}

int jsonrpcc_host_fd(jsonrpcc_client *client)
{
    struct jrc_core *core = jrc_client_core(client);

    return core == NULL || core->host == NULL ? -1 : core->host->fd;
}

bool jsonrpcc_host_poll(jsonrpcc_client *client)
{
    struct jrc_core *core = jrc_client_open_core(client);

    if (core == NULL || core->host == NULL)
        return false;
    jrc_core_ref(core); /* a callback may free the client */
    bool more = jrc_host_poll(core);
    if (jrc_core_is_ours(core))
        jrc_core_unref(core);
    return more;
}
