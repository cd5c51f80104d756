/* A test program's peer, and clients of it. */
#ifndef PEER_CLIENT_H
#define PEER_CLIENT_H

#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct peer peer;
static char servers[60];
static uint64_t number;

static inline void begin_peer(void)
{
    peer_start(&peer, NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", peer.port);
}

static inline jsonrpcc_client *new_client(jsonrpcc_options options)
{
    jsonrpcc_client *client = NULL;
    char why[200];

    options.size = sizeof options;
    if (options.servers == NULL)
        options.servers = servers;
    if (!CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
               JSONRPCC_OK))
        exit(1);
    return client;
}

static inline void end_client(jsonrpcc_client *client)
{
    CHECK(jsonrpcc_client_close(client, 5000));
    jsonrpcc_client_free(client);
}

static inline void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* A call of the peer, with number 1. */
static inline jsonrpcc_call peer_call(const char *method, int32_t timeout_ms,
                                      jsonrpcc_done_fn done, void *arg)
{
    return (jsonrpcc_call){
        .size = sizeof(jsonrpcc_call),
        .method = method,
        .method_len = strlen(method),
        .params = "[1]",
        .params_len = 3,
        .timeout_ms = timeout_ms,
        .done = done,
        .arg = arg,
    };
}

/* When all clients are freed: nothing of them is left, after a moment in which
 * a thread of theirs may be the last to go. */
static inline void end_peer(void)
{
    for (int ms = 0; ms < 10000 && jsonrpcc_client_count() > 0; ms++)
        nap();
    CHECK(jsonrpcc_client_count() == 0);
    peer_stop(&peer);
}

/* params with a new number, static. */
static inline const char *params(void)
{
    static char text[40];

    snprintf(text, sizeof text, "[%llu]", (unsigned long long)++number);
    return text;
}

#endif
