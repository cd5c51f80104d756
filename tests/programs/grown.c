/* A program of today, for a library of tomorrow whose structs have grown: it
 * prints what it reads of them.
 *
 *     grown SERVER    the server has add and fail, as "jsonrpcc serve" */
#include <jsonrpcc.h>

#include <stdio.h>
#include <string.h>

enum { CALLS = 6 }; /* every other one fails */

static jsonrpcc_call call_of(uint64_t token, jsonrpcc_done_fn done, void *arg)
{
    const char *method = token % 2 == 0 ? "add" : "fail";
    const char *params = token % 2 == 0 ? "[1, 2]" : "[5, \"no\"]";

    return (jsonrpcc_call){
        .size = sizeof(jsonrpcc_call),
        .method = method,
        .method_len = strlen(method),
        .params = params,
        .params_len = strlen(params),
        .flags = JSONRPCC_WAIT_FOR_READY,
        .done = done,
        .arg = arg,
        .token = token,
    };
}

static void print(const char *what, uint64_t token, const char *text,
                  size_t len, int32_t server, uint64_t elapsed_us)
{
    printf("%s %d: %.*s, server %d%s\n", what, (int)token, (int)len, text,
           (int)server, elapsed_us > 0 ? ", timed" : "");
}

static int fetch(jsonrpcc_queue *queue)
{
    jsonrpcc_completions all;

    if (jsonrpcc_queue_wait(queue, &all, 5000) != JSONRPCC_OK)
        return CALLS + 1; /* and something is missing in what was printed */
    for (size_t i = 0; i < all.count; i++) {
        size_t len;
        const char *text = jsonrpcc_completions_result(&all, i, &len);
        const jsonrpcc_origin *from = jsonrpcc_completions_origin(&all, i);
        print("result", all.tokens[i], text, len, from->server,
              from->elapsed_us);
    }
    for (size_t i = 0; i < all.failure_count; i++) {
        const jsonrpcc_failure *one = jsonrpcc_completions_failure(&all, i);
        const jsonrpcc_outcome *outcome = &one->outcome;
        print("failure", one->token, outcome->json, outcome->json_len,
              outcome->server, outcome->elapsed_us);
    }
    for (size_t i = 0; i < all.event_count; i++) {
        const jsonrpcc_event *event = jsonrpcc_completions_event(&all, i);
        printf("event %d, server %d%s\n", (int)event->kind, (int)event->server,
               event->time_us > 0 ? ", timed" : "");
    }
    return (int)(all.count + all.failure_count + all.event_count);
}

struct told {
    jsonrpcc_waiter *all;
    int left;
};

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct told *told = arg;

    print("callback", token, outcome->json, outcome->json_len, outcome->server,
          outcome->elapsed_us);
    if (--told->left == 0)
        jsonrpcc_signal(told->all);
}

int main(int argc, char **argv)
{
    jsonrpcc_options options = {.size = sizeof options,
                                .servers = argc > 1 ? argv[1] : ""};
    jsonrpcc_client *client;
    /* What stands behind a struct that the library fills is not its own. */
    struct {
        jsonrpcc_server_info info;
        uint64_t behind_info;
        jsonrpcc_stats stats;
        uint64_t behind_stats;
    } seen = {.behind_info = 7, .behind_stats = 7};

    if (jsonrpcc_client_new(&options, &client, NULL, 0) != JSONRPCC_OK)
        return 1;
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_EVENTS);
    for (uint64_t token = 0; token < CALLS; token++) {
        jsonrpcc_call call = call_of(token, NULL, NULL);
        if (jsonrpcc_queue_request(queue, token, call.method, call.method_len,
                                   call.params, call.params_len, 0,
                                   call.flags) < 0)
            return 1;
    }
    for (int got = 0; got < CALLS + 1;) /* and the event of connecting */
        got += fetch(queue);
    jsonrpcc_queue_free(queue);

    struct told told = {jsonrpcc_waiter_new(client, false), CALLS};
    jsonrpcc_call calls[CALLS];
    jsonrpcc_status status;
    for (uint64_t token = 0; token < CALLS; token++)
        calls[token] = call_of(token, on_done, &told);
    if (jsonrpcc_request_many(client, calls, CALLS, &status) != CALLS)
        return 1;
    while (jsonrpcc_wait(told.all, 5000) == JSONRPCC_EPENDING)
        ;
    jsonrpcc_waiter_free(told.all);

    jsonrpcc_server_get(client, 0, &seen.info, sizeof seen.info);
    jsonrpcc_client_stats(client, &seen.stats, sizeof seen.stats);
    printf("sent %d, requests %d, behind them %d %d\n", (int)seen.info.sent,
           (int)seen.stats.requests, (int)seen.behind_info,
           (int)seen.behind_stats);
    jsonrpcc_client_free(client);
    return 0;
}
