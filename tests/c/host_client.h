/* Clients of the peer whose callbacks wait for their host, and how it polls. */
#ifndef HOST_CLIENT_H
#define HOST_CLIENT_H

#include "peer_client.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

enum { HANGS_S = 300, LATE_MS = 20000 };

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline jsonrpcc_client *new_hosted(jsonrpcc_options options)
{
    options.flags = JSONRPCC_HOST_CALLBACKS;
    options.reconnect_ms = options.reconnect_max_ms = 20;
    return new_client(options);
}

static inline bool is_readable(jsonrpcc_client *client)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

/* Poll as an event loop would, until *count is large enough or it takes too
 * long. */
static inline bool poll_until(jsonrpcc_client *client, const unsigned *count,
                              unsigned enough)
{
    struct pollfd fd = {.fd = jsonrpcc_host_fd(client), .events = POLLIN};
    uint64_t until_ms = now_ms() + LATE_MS;

    while (*count < enough && now_ms() < until_ms)
        if (poll(&fd, 1, 100) == 1)
            jsonrpcc_host_poll(client);
    return CHECK(*count == enough);
}

static inline jsonrpcc_status request(jsonrpcc_client *client,
                                      const char *method, int32_t timeout_ms,
                                      uint32_t flags, jsonrpcc_done_fn done,
                                      void *arg)
{
    const char *text = params();
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = text,
        .params_len = strlen(text),
        .timeout_ms = timeout_ms,
        .flags = flags | JSONRPCC_WAIT_FOR_READY,
        .done = done,
        .arg = arg,
        .token = number,
    };

    return jsonrpcc_request(client, &call, NULL);
}

/* What callbacks have seen. */
struct tally {
    jsonrpcc_client *client;
    pthread_t host;
    unsigned told, right, elsewhere;
    unsigned deferred; /* how often it ran, each time after all outcomes */
    jsonrpcc_deferred at_end;
    jsonrpcc_status status;
};

static inline struct tally tally_of(jsonrpcc_client *client)
{
    return (struct tally){.client = client, .host = pthread_self()};
}

static inline void count(void *arg, uint64_t token,
                         const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;

    tally->told++;
    tally->status = outcome->status;
    tally->right +=
        outcome->status == JSONRPCC_OK &&
        (peer_says("echo", token, outcome->json, outcome->json_len) ||
         peer_says("big", token, outcome->json, outcome->json_len));
    tally->elsewhere += !pthread_equal(pthread_self(), tally->host);
    CHECK(jsonrpcc_in_callback(tally->client));
}

#endif
