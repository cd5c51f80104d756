/* What the programs loop_*.c share: a client whose outcomes come to the thread
 * of an event loop.  The loop watches one descriptor and calls loop_fetch();
 * nothing here waits for the network. */

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
    jsonrpcc_queue *queue;
    pthread_t thread; /* of the event loop */
    int results, timeouts, others, elsewhere;
};

/* Stands for your callback: it runs where loop_fetch() is called. */
static inline void loop_on_outcome(struct loop *loop, uint64_t token,
                                   jsonrpcc_status status)
{
    (void)token; /* says which call it is */
    loop->results += status == JSONRPCC_OK;
    loop->timeouts += status == JSONRPCC_ETIMEDOUT;
    loop->others += status != JSONRPCC_OK && status != JSONRPCC_ETIMEDOUT;
    loop->elsewhere += !pthread_equal(pthread_self(), loop->thread);
}

static inline bool loop_is_done(const struct loop *loop)
{
    return loop->results + loop->timeouts + loop->others > LOOP_CALLS;
}

/* Call it when the descriptor is readable.  False: that was all. */
static inline bool loop_fetch(struct loop *loop)
{
    jsonrpcc_completions completions;

    while (jsonrpcc_queue_fetch(loop->queue, &completions)) {
        for (size_t i = 0; i < completions.count; i++)
            loop_on_outcome(loop, completions.tokens[i], JSONRPCC_OK);
        for (size_t i = 0; i < completions.failure_count; i++)
            loop_on_outcome(loop, completions.failures[i].token,
                            completions.failures[i].outcome.status);
    }
    return !loop_is_done(loop);
}

static inline void loop_submit(struct loop *loop, uint64_t token,
                               const char *method, const char *params,
                               int32_t timeout_ms)
{
    int64_t id = jsonrpcc_queue_request(loop->queue, token, method,
                                        strlen(method), params, strlen(params),
                                        timeout_ms, JSONRPCC_WAIT_FOR_READY);

    if (id < 0) {
        fprintf(stderr, "%s: %s\n", method,
                jsonrpcc_status_text((jsonrpcc_status)-id));
        exit(EXIT_FAILURE);
    }
}

/* Returns the descriptor that the event loop has to watch. */
static inline int loop_open(struct loop *loop, const char *servers)
{
    jsonrpcc_options options = {.size = sizeof options, .servers = servers};
    char why[160];

    memset(loop, 0, sizeof *loop);
    loop->thread = pthread_self();
    if (jsonrpcc_client_new(&options, &loop->client, why, sizeof why) !=
        JSONRPCC_OK) {
        fprintf(stderr, "client: %s\n", why);
        exit(EXIT_FAILURE);
    }
    loop->queue = jsonrpcc_queue_new(loop->client, JSONRPCC_QUEUE_FD);
    if (loop->queue == NULL) {
        fprintf(stderr, "queue: out of memory or descriptors\n");
        exit(EXIT_FAILURE);
    }
    loop_fetch(loop); /* nothing yet: from now on the descriptor tells */
    for (uint64_t i = 0; i < LOOP_CALLS; i++)
        loop_submit(loop, i, "add", "[1, 2]", 0);
    loop_submit(loop, LOOP_CALLS, "sleep", "[10]", 100);
    return jsonrpcc_queue_fd(loop->queue);
}

/* Take the descriptor out of the event loop first.  Returns the exit status. */
static inline int loop_close(struct loop *loop)
{
    jsonrpcc_client_close(loop->client, -1);
    loop_fetch(loop);
    jsonrpcc_queue_free(loop->queue);
    jsonrpcc_client_free(loop->client);
    printf("%d results, %d timeouts, %d others, %d on other threads\n",
           loop->results, loop->timeouts, loop->others, loop->elsewhere);
    return loop->others == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
