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
    int error = jrc_server_list_read(
        *list, servers, jrc_client_max_servers(client), why, why_size);
    const struct jrc_core *core = error == 0 ? jrc_client_core(client) : NULL;
    return core == NULL ? error
                        : jrc_server_list_check(core, *list, why, why_size);
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

/* What is counted on each of its connections. */
static void add_connections(const struct jrc_engine *engine, uint32_t server,
                            jsonrpcc_server_info *info)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    info->connections = (uint16_t)engine->wide;
    for (uint32_t i = first; i < first + engine->width; i++) {
        const struct jrc_conn *conn = &engine->conns[i];
        enum jrc_server_state state =
            atomic_load_explicit(&conn->state, memory_order_relaxed);
        bool is_up =
            jrc_state_is_connected(state) && state != JRC_SERVER_GREETING;
        info->connected += is_up;
        info->connects += jrc_read(&conn->connects);
        info->losses += jrc_read(&conn->losses);
        info->attempts_failed += jrc_read(&conn->attempts_failed);
        info->sent += jrc_read(&conn->sends);
        info->responses += jrc_read(&conn->responses);
        info->timeouts += jrc_read(&conn->timeouts);
        info->bytes_sent += jrc_read(&conn->bytes_sent);
        info->bytes_received += jrc_read(&conn->bytes_received);
        info->in_flight += (uint32_t)jrc_read(&conn->in_flight);
        info->renewals += jrc_read(&conn->renewals);
    }
}

/* The first connection of a server in that state, or JRC_NO_CONN. */
static uint32_t find_conn(const struct jrc_engine *engine, uint32_t server,
                          enum jrc_server_state state)
{
    uint32_t first = jrc_engine_first_conn(engine, server);

    for (uint32_t i = first; i < first + engine->width; i++)
        if (atomic_load_explicit(&engine->conns[i].state,
                                 memory_order_relaxed) == state)
            return i;
    return JRC_NO_CONN;
}

/* Whether a server is connected, but for the answer to its hello. */
static bool is_greeting(const struct jrc_engine *engine, uint32_t server)
{
    return engine->servers->list[server].state == JRC_SERVER_CONNECTING &&
           find_conn(engine, server, JRC_SERVER_GREETING) != JRC_NO_CONN;
}

bool jsonrpcc_server_get(jsonrpcc_client *client, uint32_t index,
                         jsonrpcc_server_info *info, size_t size)
{
    struct jrc_core *core = jrc_client_core(client);

    if (core == NULL || index >= core->servers.count)
        return false;
    const struct jrc_server *server = &core->servers.list[index];
    bool awaits_hello = is_greeting(&core->engine, index);
    uint16_t port;
    const char *host = address_of(server, &port);
    jsonrpcc_server_info all = {
        .host = host,
        .port = port,
        .priority = server->priority,
        .state = awaits_hello
                     ? JSONRPCC_SERVER_PROVING
                     : (jsonrpcc_server_state)atomic_load(&server->state),
        .reason = atomic_load(&server->reason),
        .since_us = jrc_read(&server->since_us),
        .position = atomic_load(&server->position),
        .weight = atomic_load(&server->weight),
        .entry = atomic_load(&server->name),
        .srv_priority = atomic_load(&server->srv_priority),
        .awaits_hello = awaits_hello,
        .code = atomic_load(&server->code),
        .spare = atomic_load(&server->spare),
    };
    add_connections(&core->engine, index, &all);
    jrc_growth_give(info, size, &all, sizeof all);
    return true;
}

/* The connection whose handshake tells of the server: an established one. */
static uint32_t shown(const struct jrc_engine *engine, uint32_t server)
{
    uint32_t up = find_conn(engine, server, JRC_SERVER_UP);

    return up != JRC_NO_CONN ? up : jrc_engine_first_conn(engine, server);
}

bool jsonrpcc_server_tls_get(jsonrpcc_client *client, uint32_t index,
                             jsonrpcc_server_tls_info *info, size_t size)
{
    struct jrc_core *core = jrc_client_core(client);
    jsonrpcc_server_tls_info all = {0};

    if (core == NULL || core->tls == NULL || index >= core->servers.count)
        return false;
    jrc_tls_describe(core->tls, shown(&core->engine, index), &all);
    jrc_growth_give(info, size, &all, sizeof all);
    return true;
}

/* Whether the list that was set last is in force and, with all, known. */
static bool is_list_ready(struct jrc_core *core, bool all)
{
    const struct jrc_entries *entries = &core->entries;

    pthread_mutex_lock(&core->lock);
    bool is_ready = entries->list_changes == core->submission.list_changes &&
                    (!all || jrc_entries_are_found(entries));
    pthread_mutex_unlock(&core->lock);
    return is_ready;
}

static bool is_in_use(const jsonrpcc_server_info *info)
{
    return info->state == JSONRPCC_SERVER_UP ||
           (info->state == JSONRPCC_SERVER_PROVING && !info->awaits_hello);
}

bool jsonrpcc_is_ready(jsonrpcc_client *client, bool all)
{
    struct jrc_core *core = jrc_client_core(client);
    uint32_t listed = 0, unused = 0, found = 0;

    if (core == NULL || !is_list_ready(core, all))
        return false;
    for (uint32_t i = 0; i < core->servers.count; i++) {
        jsonrpcc_server_info info = {.state = JSONRPCC_SERVER_GONE};
        jsonrpcc_server_get(client, i, &info, sizeof info);
        bool is_listed = info.state != JSONRPCC_SERVER_LEAVING &&
                         info.state != JSONRPCC_SERVER_GONE && !info.spare;
        listed += is_listed;
        unused += is_listed && !is_in_use(&info);
        found += is_in_use(&info) || info.state == JSONRPCC_SERVER_SUSPECT;
    }
    return all ? listed > 0 && unused == 0 : found > 0;
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
