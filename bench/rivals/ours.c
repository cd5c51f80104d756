/* jsonrpcc from C: a callback per result, which submits the next call.
 *
 * Callbacks run on the client's own thread; this one only waits. */
#include "jsonrpcc.h"
#include "measure.h"

#include <semaphore.h>

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome);

static jsonrpcc_client *client;
static const jsonrpcc_call get_user = {
    .size = sizeof get_user,
    .method = "get_user",
    .method_len = 8,
    .params = "{\"id\":1234}",
    .params_len = 11,
    .done = on_done,
};
static long submitted, completed, wanted;
static double begun[1 << 16]; /* of the timed calls, by token */
static sem_t finished;

static void submit(uint64_t token)
{
    jsonrpcc_call call = get_user; /* two threads submit at the beginning */

    call.token = token;
    if (token % TIMED == 0)
        begun[token] = now(CLOCK_MONOTONIC);
    if (jsonrpcc_request(client, &call, NULL) != JSONRPCC_OK)
        wrong("request");
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    if (outcome->status != JSONRPCC_OK ||
        outcome->json_len != sizeof GET_USER - 1 ||
        memcmp(outcome->json, GET_USER, sizeof GET_USER - 1) != 0)
        wrong(jsonrpcc_status_text(outcome->status));
    if (token % TIMED == 0)
        job_latency(begun[token]);
    if (submitted < wanted) {
        submitted++;
        submit(token);
    }
    if (++completed == wanted)
        sem_post(&finished);
}

/* The tokens of a window's calls are 0 to window - 1: each call hands its own
 * to the one it submits. */
static void run(long count)
{
    long first = job.window < count ? job.window : count;

    submitted = first; /* before the callbacks begin to count */
    completed = 0;
    wanted = count;
    for (long token = 0; token < first; token++)
        submit((uint64_t)token);
    sem_wait(&finished);
}

int main(int argc, char **argv)
{
    char servers[64], why[256];
    jsonrpcc_options options = {
        .size = sizeof options, .servers = servers, .timeout_ms = 30000};

    job_parse(argc, argv);
    snprintf(servers, sizeof servers, "127.0.0.1:%d,1", job.port);
    sem_init(&finished, 0, 0);
    if (jsonrpcc_client_new(&options, &client, why, sizeof why) != JSONRPCC_OK)
        wrong(why);
    run(job.warmup);
    job_start();
    run(job.calls);
    job_stop();
    jsonrpcc_client_close(client, -1);
    jsonrpcc_client_free(client);
    job_report();
    return 0;
}
