/* A call that a callback submits is timed from its submission, although the
 * clock may not have been read then: not from before what the callback did
 * first. */
#include "peer_client.h"

#include <semaphore.h>
#include <string.h>

enum {
    BLOCKED_MS = 120,
    TICK_US = 12000, /* of the slowest kernel, and a bit */
    CALLS = 20
};

static jsonrpcc_client *client;
static sem_t done;
static int left;
static uint64_t submitted_us;

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome);

static void submit(const char *method, int32_t timeout_ms)
{
    jsonrpcc_call call = {.size = sizeof call,
                          .method = method,
                          .method_len = strlen(method),
                          .params = params(),
                          .timeout_ms = timeout_ms,
                          .done = on_done};

    call.params_len = strlen(call.params);
    submitted_us = now_us();
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
}

/* Neither elapsed nor the deadline counts from before the call. */
static void check(const jsonrpcc_outcome *outcome)
{
    uint64_t since_us = now_us() - submitted_us;

    if (!CHECK(outcome->elapsed_us <= since_us + TICK_US))
        printf("  %llu us, submitted %llu us ago\n",
               (unsigned long long)outcome->elapsed_us,
               (unsigned long long)since_us);
    if (outcome->status == JSONRPCC_ETIMEDOUT)
        CHECK(since_us + TICK_US >= (uint64_t)BLOCKED_MS * 1000);
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    check(outcome);
    if (--left == 0) {
        sem_post(&done);
        return;
    }
    if (left % 4 == 0)
        nanosleep(&(struct timespec){.tv_nsec = BLOCKED_MS * 1000000}, NULL);
    /* A timeout as long as the callback blocked has not expired yet. */
    submit(left % 8 == 0 ? "mute" : "echo", BLOCKED_MS);
}

int main(void)
{
    begin_peer();
    client = new_client((jsonrpcc_options){.timeout_ms = 30000});
    sem_init(&done, 0, 0);
    left = CALLS;
    submit("echo", 30000);
    while (sem_wait(&done) != 0)
        continue;
    end_client(client);
    end_peer();
    return check_done();
}
