#include "client/server_list.h"

#include "client/leadership.h"
#include "engine/servers_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int jrc_server_list_read(struct jrc_server_list *list, const char *text,
                         size_t max, char *why, size_t why_size)
{
    int error = jrc_servers_parse(list, text, why, why_size);

    if (error != 0 || list->count <= max)
        return error;
    snprintf(why, why_size,
             "servers: %zu of them are more than max_servers, %zu", list->count,
             max);
    jrc_server_list_clear(list);
    return EINVAL;
}

int jrc_server_list_give(struct jrc_core *core, char *why, size_t why_size)
{
    int error = 0;

    for (size_t i = 0; i < core->servers.count && error == 0; i++) {
        const struct jrc_server *server = &core->servers.list[i];
        const char *rule;
        if (!server->once)
            continue;
        error = jrc_given_add(&core->given, server->host,
                              core->tls_context != NULL, &rule);
        if (error == EINVAL)
            snprintf(why, why_size, "servers: %s: %s", server->host, rule);
    }
    return error;
}

int jrc_server_list_check(const struct jrc_core *core,
                          const struct jrc_server_list *list, char *why,
                          size_t why_size)
{
    for (size_t n = 0; n < list->count; n++) {
        const struct jrc_entry *entry = &list->entries[n];
        bool is_known = !entry->once;
        for (size_t i = 0; i < core->servers.count && !is_known; i++) {
            const char *host = core->servers.list[i].host;
            is_known = host != NULL && strcmp(host, entry->host) == 0;
        }
        if (is_known)
            continue;
        snprintf(why, why_size,
                 "servers: %s: a socket is given when the client is created",
                 entry->host);
        return EINVAL;
    }
    return 0;
}

void jrc_server_list_free(struct jrc_server_list *list)
{
    if (list != NULL)
        jrc_server_list_clear(list);
    free(list);
}

jsonrpcc_status jrc_core_set_servers(struct jrc_core *core,
                                     struct jrc_server_list *list)
{
    bool wake = false;

    pthread_mutex_lock(&core->lock);
    bool is_open = !core->life.closing;
    if (is_open) {
        struct jrc_server_list *before = core->submission.servers;
        core->submission.servers = list;
        core->submission.list_changes++;
        list = before; /* not taken in yet: the new one is instead */
        wake = jrc_wake_leader(core);
    }
    pthread_mutex_unlock(&core->lock);
    if (wake)
        jrc_loop_wake(core->loop);
    jrc_server_list_free(list);
    return is_open ? JSONRPCC_OK : JSONRPCC_ECLOSED;
}
