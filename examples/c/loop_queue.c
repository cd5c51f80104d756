/* A client in an epoll loop that takes outcomes many at a time, from a queue,
 * instead of a callback for each.
 *
 *     cc loop_queue.c -o loop_queue $(pkg-config --cflags --libs jsonrpcc)
 */

#include <jsonrpcc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CALLS = 100 };

static int results, timeouts, others;

/* False: nothing is left, and from now on the descriptor tells of more. */
static bool fetch(jsonrpcc_queue *queue)
{
    jsonrpcc_completions completions;

    if (!jsonrpcc_queue_fetch(queue, &completions))
        return false;
    /* completions.tokens says whose they are, results is an array of them. */
    results += (int)completions.count;
    for (size_t i = 0; i < completions.failure_count; i++) {
        const jsonrpcc_failure *failure =
            jsonrpcc_completions_failure(&completions, i);
        bool late = failure->outcome.status == JSONRPCC_ETIMEDOUT;
        timeouts += late;
        others += !late;
    }
    return true;
}

static void submit(jsonrpcc_queue *queue, uint64_t token, const char *method,
                   const char *params, int32_t timeout_ms)
{
    int64_t id = jsonrpcc_queue_request(queue, token, method, strlen(method),
                                        params, strlen(params), timeout_ms,
                                        JSONRPCC_WAIT_FOR_READY);

    if (id < 0) {
        fprintf(stderr, "%s: %s\n", method,
                jsonrpcc_status_text((jsonrpcc_status)-id));
        exit(EXIT_FAILURE);
    }
}

static void run(jsonrpcc_queue *queue)
{
    int fd = jsonrpcc_queue_fd(queue);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    for (uint64_t i = 0; i < CALLS; i++)
        submit(queue, i, "add", "[1, 2]", 0);
    submit(queue, CALLS, "sleep", "[10]", 100);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    while (results + timeouts + others <= CALLS)
        if (epoll_wait(epoll_fd, &event, 1, -1) == 1)
            while (fetch(queue))
                continue;
    close(epoll_fd);
}

int main(int argc, char **argv)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = argc > 1 ? argv[1] : "localhost:9999",
    };
    jsonrpcc_client *client;
    char why[160];

    if (jsonrpcc_client_new(&options, &client, why, sizeof why) !=
        JSONRPCC_OK) {
        fprintf(stderr, "client: %s\n", why);
        return EXIT_FAILURE;
    }
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    if (queue == NULL) {
        fprintf(stderr, "queue: out of memory or descriptors\n");
        return EXIT_FAILURE;
    }
    run(queue);
    jsonrpcc_client_close(client, -1);
    jsonrpcc_queue_free(queue);
    jsonrpcc_client_free(client);
    printf("%d results, %d timeouts, %d others\n", results, timeouts, others);
    return others == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
