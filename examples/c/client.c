/* A JSON-RPC client in C: requests with a callback, a notification, a blocking
 * call, errors, and the counters at the end.
 *
 *     cc client.c -o client $(pkg-config --cflags --libs jsonrpcc)
 *     ./client localhost:9999
 *
 * The server needs the methods of "jsonrpcc serve": add, echo, fail. */

#include <jsonrpcc.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 100 };

/* What the callbacks tell; they run one at a time, on the client's thread. */
struct tally {
    jsonrpcc_waiter *done;
    int results, errors;
};

/* The outcome is borrowed for this call, and its text not NUL-terminated. */
static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct tally *tally = arg;

    if (outcome->status == JSONRPCC_OK) {
        tally->results++;
    } else {
        tally->errors++;
        fprintf(stderr, "request %" PRIu64 ": %s: %.*s\n", token,
                jsonrpcc_status_text(outcome->status), (int)outcome->json_len,
                outcome->json_len > 0 ? outcome->json : "");
    }
    if (tally->results + tally->errors == REQUESTS)
        jsonrpcc_signal(tally->done);
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    char why[128];

    (void)arg;
    if (event->kind != JSONRPCC_LOST && event->kind != JSONRPCC_UNREACHABLE)
        return;
    jsonrpcc_reason_text(event->reason, why, sizeof why);
    fprintf(stderr, "server %d: %s\n", (int)event->server, why);
}

/* Start all requests, then wait until the last has its outcome. */
static bool request_with_callbacks(jsonrpcc_client *client)
{
    struct tally tally = {.done = jsonrpcc_waiter_new(client, false)};

    if (tally.done == NULL)
        return false;
    for (int i = 0; i < REQUESTS; i++) {
        char params[32];
        jsonrpcc_call call = {
            .size = sizeof call,
            .method = "add",
            .method_len = strlen("add"),
            .params = params,
            .params_len = (size_t)snprintf(params, sizeof params, "[%d,1]", i),
            .done = on_done,
            .arg = &tally,
            .token = (uint64_t)i,
        };
        jsonrpcc_status status = jsonrpcc_request(client, &call, NULL);
        /* Refused: nothing was sent and on_done will not be called. */
        if (status != JSONRPCC_OK) {
            fprintf(stderr, "add: %s\n", jsonrpcc_status_text(status));
            exit(EXIT_FAILURE);
        }
    }
    while (jsonrpcc_wait(tally.done, -1) == JSONRPCC_EPENDING)
        ;
    jsonrpcc_waiter_free(tally.done);
    printf("callbacks: %d results, %d errors\n", tally.results, tally.errors);
    return tally.errors == 0;
}

static bool notify(jsonrpcc_client *client)
{
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "echo",
        .method_len = strlen("echo"),
        .params = "{'id': 1234}",
        .params_len = strlen("{'id': 1234}"),
        .flags = JSONRPCC_NOTIFICATION | JSONRPCC_LENIENT,
    };

    return jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK;
}

/* Call and wait.  Prints the result or the error; returns the status. */
static jsonrpcc_status call_and_wait(jsonrpcc_sync *sync, const char *method,
                                     const char *params, int32_t timeout_ms)
{
    jsonrpcc_status status =
        jsonrpcc_sync_call(sync, method, strlen(method), params, strlen(params),
                           timeout_ms, 0, 1000);

    while (status == JSONRPCC_EPENDING) /* the place to look for a signal */
        status = jsonrpcc_sync_wait(sync, 1000);
    const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
    if (outcome != NULL && outcome->json_len > 0)
        printf("%s: %s: %.*s\n", method, jsonrpcc_status_text(status),
               (int)outcome->json_len, outcome->json);
    else
        printf("%s: %s\n", method, jsonrpcc_status_text(status));
    return status;
}

static bool call_blocking(jsonrpcc_client *client)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    bool good;

    if (sync == NULL)
        return false;
    good = call_and_wait(sync, "add", "[40, 2]", 0) == JSONRPCC_OK;
    good &= call_and_wait(sync, "fail", "[5, \"no\"]", 0) == JSONRPCC_EREMOTE;
    good &= call_and_wait(sync, "sleep", "[10]", 50) == JSONRPCC_ETIMEDOUT;
    good &= call_and_wait(sync, "add", "nonsense", 0) == JSONRPCC_EINVAL;
    jsonrpcc_sync_free(sync);
    return good;
}

int main(int argc, char **argv)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = argc > 1 ? argv[1] : "localhost:9999",
        .timeout_ms = 5000,
    };
    jsonrpcc_client *client;
    char why[160];

    if (jsonrpcc_client_new(&options, &client, why, sizeof why) !=
        JSONRPCC_OK) {
        fprintf(stderr, "client: %s\n", why);
        return 2;
    }
    jsonrpcc_on_event(client, on_event, NULL);
    bool good = request_with_callbacks(client);
    good &= notify(client);
    good &= call_blocking(client);
    jsonrpcc_client_close(client, -1); /* the notification goes out first */

    jsonrpcc_stats stats;
    jsonrpcc_client_stats(client, &stats, sizeof stats);
    printf("stats: %" PRIu64 " requests, %" PRIu64 " notifications, %" PRIu64
           " ok, %" PRIu64 " remote errors, %" PRIu64 " timeouts\n",
           stats.requests, stats.notifications, stats.ok, stats.remote_errors,
           stats.timeouts);
    jsonrpcc_client_free(client);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
