/* The public functions about servers. */

#include "client/client.h"
#include "client/server_list.h"
#include "wire/growth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 0 or an errno; what there is by then is the caller's to free. */
static int read_copy(jsonrpcc_client *client, const char *servers, char **text,
                     struct jrc_server_list **list, char *why, size_t why_size)
{
    *text = strdup(servers);
    *list = calloc(1, sizeof **list);
    if (*text == NULL || *list == NULL)
        return ENOMEM;
    return jrc_server_list_read(*list, servers, jrc_client_max_servers(client),
                                why, why_size);
}

jsonrpcc_status jsonrpcc_servers_set(jsonrpcc_client *client,
                                     const char *servers, char *why,
                                     size_t why_size)
{
    struct jrc_server_list *list;
    char *text;
    char unused[1];

    jrc_client_why(&why, &why_size, unused);
    why[0] = '\0';
    int error = read_copy(client, servers, &text, &list, why, why_size);
    if (error == 0)
        return jrc_client_set_servers(client, text, list);
    jrc_server_list_free(list);
    free(text);
    if (error == EINVAL)
        return JSONRPCC_EINVAL;
    jsonrpcc_reason_text(error, why, why_size);
    return JSONRPCC_ENOMEM;
}

bool jsonrpcc_servers_check(const char *servers, char *why, size_t why_size)
{
    struct jrc_server_list parsed;
    char unused[1];

    jrc_client_why(&why, &why_size, unused);
    int error = jrc_servers_parse(&parsed, servers, why, why_size);
    if (error == ENOMEM)
        jsonrpcc_reason_text(error, why, why_size);
    if (error != 0)
        return false;
    jrc_server_list_clear(&parsed);
    return true;
}

uint32_t jsonrpcc_server_count(jsonrpcc_client *client)
{
    struct jrc_core *core = jrc_client_core(client);

    return core == NULL ? 0 : (uint32_t)core->servers.count;
}

/* The slot of a server that is gone may be given to another one meanwhile. */
static const char *address_of(const struct jrc_server *server, uint16_t *port)
{
    const char *host;

    do {
        host = server->host;
        *port = server->port;
    } while (host == NULL || host != server->host);
    return host;
}

bool jsonrpcc_server_get(jsonrpcc_client *client, uint32_t index,
                         jsonrpcc_server_info *info, size_t size)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core == NULL || index >= core->servers.count)
        return false;
    const struct jrc_server *server = &core->servers.list[index];
    const struct jrc_conn *conn = &core->engine.conns[index];
    uint16_t port;
    const char *host = address_of(server, &port);
    jsonrpcc_server_info all = {
        .host = host,
        .port = port,
        .priority = server->priority,
        .state = (jsonrpcc_server_state)atomic_load(&server->state),
        .reason = atomic_load(&conn->reason),
        .since_us = jrc_read(&server->since_us),
        .connects = jrc_read(&conn->connects),
        .losses = jrc_read(&conn->losses),
        .attempts_failed = jrc_read(&conn->attempts_failed),
        .sent = jrc_read(&conn->sends),
        .responses = jrc_read(&conn->responses),
        .timeouts = jrc_read(&conn->timeouts),
        .bytes_sent = jrc_read(&conn->bytes_sent),
        .bytes_received = jrc_read(&conn->bytes_received),
        .in_flight = (uint32_t)jrc_read(&conn->in_flight),
        .position = atomic_load(&server->position),
        .weight = atomic_load(&server->weight),
        .entry = atomic_load(&server->name),
        .srv_priority = atomic_load(&server->srv_priority),
    };
    jrc_growth_give(info, size, &all, sizeof all);
    return true;
}

bool jsonrpcc_entry_get(jsonrpcc_client *client, uint32_t index,
                        jsonrpcc_entry_info *info, size_t size)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core == NULL)
        return false;
    pthread_mutex_lock(&core->lock);
    bool is_there = index < core->entries.count;
    if (is_there)
        jrc_growth_give(info, size, &core->entries.list[index], sizeof *info);
    pthread_mutex_unlock(&core->lock);
    return is_there;
}
