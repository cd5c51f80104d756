/* What the programs loop_*.c share: a client whose callbacks all run on the
 * thread of an event loop.  The loop watches one descriptor and calls
 * loop_poll(); nothing here waits for the network. */

#ifndef LOOP_H
#define LOOP_H

#include <jsonrpcc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOP_CALLS = 100 };

struct loop {
    jsonrpcc_client *client;
    pthread_t thread; /* of the event loop */
    int results, timeouts, others, elsewhere;
};

/* Your callback: it runs where loop_poll() is called. */
static inline void loop_on_done(void *arg, uint64_t token,
                                const jsonrpcc_outcome *outcome)
{
    struct loop *loop = arg;

    (void)token; /* says which call it is */
    if (outcome->status == JSONRPCC_OK)
        loop->results++;
    else if (outcome->status == JSONRPCC_ETIMEDOUT)
        loop->timeouts++;
    else
        loop->others++;
    loop->elsewhere += !pthread_equal(pthread_self(), loop->thread);
}

static inline bool loop_is_done(const struct loop *loop)
{
    return loop->results + loop->timeouts + loop->others > LOOP_CALLS;
}

/* Call it when the descriptor is readable.  False: that was all. */
static inline bool loop_poll(struct loop *loop)
{
    jsonrpcc_host_poll(loop->client);
    return !loop_is_done(loop);
}

static inline void loop_submit(struct loop *loop, uint64_t token,
                               const char *method, const char *params,
                               int32_t timeout_ms)
{
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = params,
        .params_len = strlen(params),
        .timeout_ms = timeout_ms,
        .flags = JSONRPCC_WAIT_FOR_READY,
        .done = loop_on_done,
        .arg = loop,
        .token = token,
    };
    jsonrpcc_status status = jsonrpcc_request(loop->client, &call, NULL);

    if (status != JSONRPCC_OK) {
        fprintf(stderr, "%s: %s\n", method, jsonrpcc_status_text(status));
        exit(EXIT_FAILURE);
    }
}

/* Returns the descriptor that the event loop has to watch. */
static inline int loop_open(struct loop *loop, const char *servers)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = servers,
        .flags = JSONRPCC_HOST_CALLBACKS,
    };
    char why[160];

    memset(loop, 0, sizeof *loop);
    loop->thread = pthread_self();
    if (jsonrpcc_client_new(&options, &loop->client, why, sizeof why) !=
        JSONRPCC_OK) {
        fprintf(stderr, "client: %s\n", why);
        exit(EXIT_FAILURE);
    }
    for (uint64_t i = 0; i < LOOP_CALLS; i++)
        loop_submit(loop, i, "add", "[1, 2]", 0);
    loop_submit(loop, LOOP_CALLS, "sleep", "[10]", 100);
    return jsonrpcc_host_fd(loop->client);
}

/* Take the descriptor out of the event loop first.  Returns the exit status. */
static inline int loop_close(struct loop *loop)
{
    jsonrpcc_client_close(loop->client, -1); /* runs what is left here */
    jsonrpcc_client_free(loop->client);
    printf("%d results, %d timeouts, %d others, %d on other threads\n",
           loop->results, loop->timeouts, loop->others, loop->elsewhere);
    return loop->others == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
