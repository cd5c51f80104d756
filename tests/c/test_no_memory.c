/* The public functions without memory: they report it, or do without, and work
 * again later; also as the first thing that a forked child does. */
#include "fault_here.h"

#include "peer_client.h"

#include <string.h>
#include <sys/wait.h>

static jsonrpcc_status call_echo(jsonrpcc_client *client)
{
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();
    jsonrpcc_status status = jsonrpcc_sync_call(sync, "echo", 4, text,
                                                strlen(text), 20000, 0, 20000);

    jsonrpcc_sync_free(sync);
    return status;
}

static jsonrpcc_call mute_call(void)
{
    const char *text = params();

    return (jsonrpcc_call){
        .size = sizeof(jsonrpcc_call),
        .method = "mute",
        .method_len = 4,
        .params = text,
        .params_len = strlen(text),
        .timeout_ms = 60000,
    };
}

/* A thread that waits for room then has no place in the line, but waits
 * nevertheless. */
static void test_a_wait_for_room(void)
{
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 1});
    jsonrpcc_call call = mute_call();
    uint64_t id = 0;

    CHECK(jsonrpcc_request(client, &call, &id) == JSONRPCC_OK);
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_EFULL);
    fault_no_memory_here(true);
    CHECK(!jsonrpcc_room(client, 20));
    CHECK(fault_count() > 0);
    fault_no_memory_here(false);
    jsonrpcc_cancel(client, id);
    CHECK(jsonrpcc_room(client, 20000));
    end_client(client);
}

static void on_event(void *arg, const jsonrpcc_event *event)
{
    (void)arg;
    (void)event;
    CHECK(false);
}

static void use_without_memory(jsonrpcc_client *client)
{
    jsonrpcc_call call = mute_call();
    jsonrpcc_call calls[2] = {call, call};
    jsonrpcc_status status = JSONRPCC_OK;
    jsonrpcc_server_info info;
    jsonrpcc_stats stats;

    CHECK(jsonrpcc_request(client, calls, NULL) == JSONRPCC_ENOMEM);
    CHECK(jsonrpcc_request_many(client, calls, 2, &status) == 0);
    CHECK(status == JSONRPCC_ENOMEM);
    jsonrpcc_client_stats(client, &stats, sizeof stats);
    CHECK(stats.requests == 0);
    CHECK(!jsonrpcc_server_get(client, 0, &info, sizeof info));
    CHECK(jsonrpcc_room(client, 1000)); /* the next call says why not */
    jsonrpcc_on_event(client, on_event, NULL);
    jsonrpcc_refused(client);
    CHECK(!jsonrpcc_in_callback(client));
    CHECK(jsonrpcc_host_fd(client) == -1);
    CHECK(jsonrpcc_queue_new(client, 0) == NULL);
    CHECK(jsonrpcc_sync_new(client) == NULL);
    CHECK(jsonrpcc_waiter_new(client, false) == NULL);
    CHECK(jsonrpcc_client_is_foreign(client));
}

static void test_a_child(void)
{
    if (!check_may_fork())
        return;
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    size_t at = 0;
    int status = -1;

    CHECK(call_echo(client) == JSONRPCC_OK);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fault_arm(FAULT_MEMORY, 1, true);
        use_without_memory(client);
        fault_disarm();
        CHECK(jsonrpcc_queue_request_many(queue, 0, "echo", 4, "[[1]]", 5, &at,
                                          1, 0, 0) == -JSONRPCC_EFOREIGN);
        CHECK(call_echo(client) == JSONRPCC_OK);
        jsonrpcc_client_free(client);
        fflush(stdout);
        check_exit(check_failures > 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(call_echo(client) == JSONRPCC_OK);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!fault_has_memory()) {
        printf("skipped: memory does not fail in this build\n");
        return 0;
    }
    peer_start(&peer, fault_exempt);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", peer.port);
    test_a_wait_for_room();
    test_a_child();
    end_peer();
    return check_done();
}
