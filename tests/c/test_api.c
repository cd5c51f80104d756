/* The public functions on a client: what they refuse, who may wait, and what
 * they do after a close, a free or a fork. */
#include "peer_client.h"

#include <string.h>
#include <sys/wait.h>

static jsonrpcc_status echo(jsonrpcc_sync *sync)
{
    const char *text = params();

    return jsonrpcc_sync_call(sync, "echo", 4, text, strlen(text), 3000,
                              JSONRPCC_WAIT_FOR_READY, 5000);
}

/* ---- structs and limits -------------------------------------------------- */

/* A program that was compiled with an older header passes smaller structs. */
static void test_smaller_structs(void)
{
    jsonrpcc_options options = {.servers = servers, .max_depth = 9999};
    jsonrpcc_client *client = NULL;

    options.size = offsetof(jsonrpcc_options, timeout_ms);
    CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK);
    jsonrpcc_call call = {
        .size = offsetof(jsonrpcc_call, done),
        .method = "echo",
        .method_len = 4,
        .timeout_ms = 1000,
        .done = (jsonrpcc_done_fn)-1, /* not looked at */
    };
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    uint64_t stats[2] = {9, 9};
    jsonrpcc_client_stats(client, (jsonrpcc_stats *)stats, sizeof stats[0]);
    CHECK(stats[0] == 1 && stats[1] == 9);
    jsonrpcc_server_info info = {.port = 7};
    CHECK(jsonrpcc_server_get(client, 0, &info, sizeof info.host));
    CHECK(strcmp(info.host, "127.0.0.1") == 0 && info.port == 7);
    CHECK(jsonrpcc_server_get(client, 0, &info, sizeof info));
    CHECK(info.port == peer.port && info.priority == 1);
    CHECK(!jsonrpcc_server_get(client, 1, &info, sizeof info));
    CHECK(jsonrpcc_server_count(client) == 1);
    end_client(client);
    jsonrpcc_client_free(NULL);
}

static void test_limits_of_a_client(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){
        .max_request = 100, .max_in_flight = 1, .reconnect_attempts = 3});
    char large[200] = "[\"";
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "mute",
        .method_len = 4,
        .params = large,
        .params_len = sizeof large,
        .timeout_ms = 60000,
        .flags = JSONRPCC_WAIT_FOR_READY,
    };
    uint64_t id;

    memset(large + 2, 'x', sizeof large - 4);
    memcpy(large + sizeof large - 2, "\"]", 2);
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_ETOOBIG);
    call.params = params();
    call.params_len = strlen(call.params);
    CHECK(jsonrpcc_max_in_flight(client) == 1);
    CHECK(jsonrpcc_request(client, &call, &id) == JSONRPCC_OK);
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_EFULL);
    CHECK(!jsonrpcc_room(client, 5));
    jsonrpcc_cancel(client, id);
    CHECK(jsonrpcc_room(client, 5000));
    end_client(client);
}

/* ---- waiting ------------------------------------------------------------- */

struct inside {
    jsonrpcc_client *client;
    jsonrpcc_sync *sync;
    jsonrpcc_waiter *waiter;
    atomic_int calls;
};

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct inside *inside = arg;
    const char *text = "[1]";

    CHECK(outcome->status == JSONRPCC_OK && token == 7);
    CHECK(jsonrpcc_in_callback(inside->client));
    CHECK(jsonrpcc_sync_call(inside->sync, "echo", 4, text, 3, 0, 0, 1000) ==
          JSONRPCC_EDEADLK);
    CHECK(jsonrpcc_sync_outcome(inside->sync) == NULL);
    CHECK(jsonrpcc_wait(inside->waiter, 1000) == JSONRPCC_EDEADLK);
    CHECK(!jsonrpcc_client_close(inside->client, -1)); /* does not wait */
    atomic_fetch_add(&inside->calls, 1);
}

static void test_callbacks_cannot_wait_for_themselves(void)
{
    struct inside inside = {.client = new_client((jsonrpcc_options){0})};
    const char *text = params();

    inside.sync = jsonrpcc_sync_new(inside.client);
    inside.waiter = jsonrpcc_waiter_new(inside.client, true);
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "echo",
        .method_len = 4,
        .params = text,
        .params_len = strlen(text),
        .flags = JSONRPCC_WAIT_FOR_READY,
        .done = on_done,
        .arg = &inside,
        .token = 7,
    };
    CHECK(!jsonrpcc_in_callback(inside.client));
    CHECK(jsonrpcc_request(inside.client, &call, NULL) == JSONRPCC_OK);
    CHECK(jsonrpcc_wait(inside.waiter, 5000) == JSONRPCC_ECLOSED);
    CHECK(atomic_load(&inside.calls) == 1);
    CHECK(jsonrpcc_request(inside.client, &call, NULL) == JSONRPCC_ECLOSED);
    CHECK(jsonrpcc_room(inside.client, 5000));
    jsonrpcc_sync_free(inside.sync);
    jsonrpcc_waiter_free(inside.waiter);
    jsonrpcc_waiter_free(NULL);
    end_client(inside.client);
}

static void test_one_call_at_a_time_in_a_sync(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();

    CHECK(jsonrpcc_sync_wait(sync, 10) == JSONRPCC_EINVAL);
    CHECK(jsonrpcc_sync_call(sync, "mute", 4, text, strlen(text), 5000,
                             JSONRPCC_WAIT_FOR_READY, 10) == JSONRPCC_EPENDING);
    CHECK(jsonrpcc_sync_outcome(sync) == NULL);
    CHECK(echo(sync) == JSONRPCC_EINVAL);
    jsonrpcc_sync_cancel(sync);
    CHECK(jsonrpcc_sync_wait(sync, 5000) == JSONRPCC_ECANCELLED);
    CHECK(echo(sync) == JSONRPCC_OK);
    CHECK(jsonrpcc_sync_call(sync, "", 0, NULL, 0, 0, 0, 10) ==
          JSONRPCC_EINVAL);
    CHECK(jsonrpcc_sync_call(sync, "a", 1, "{]", 2, 0, 0, 10) ==
          JSONRPCC_EINVAL);
    jsonrpcc_sync_free(sync);
    end_client(client);
    sync = NULL;
    jsonrpcc_sync_free(sync);
}

static jsonrpcc_status call_with(jsonrpcc_sync *sync, const char *members)
{
    const char *text = params();
    jsonrpcc_call call = {.size = sizeof call,
                          .method = "echo",
                          .method_len = 4,
                          .params = text,
                          .params_len = strlen(text),
                          .members = members,
                          .members_len = strlen(members)};

    return jsonrpcc_sync_submit(sync, &call, -1);
}

static void test_further_members(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);

    CHECK(call_with(sync, "{\"traceparent\":\"00-1-2-01\"}") == JSONRPCC_OK);
    CHECK(call_with(sync, "{}") == JSONRPCC_OK);
    CHECK(call_with(sync, "{\"id\":7}") == JSONRPCC_EINVAL);
    CHECK(call_with(sync, "{\"a\":1},\"b\":{}") == JSONRPCC_EINVAL);
    jsonrpcc_sync_free(sync);
    end_client(client);
}

/* ---- events -------------------------------------------------------------- */

struct events {
    atomic_uint connected, others;
};

static void on_event(void *arg, const jsonrpcc_event *event)
{
    struct events *events = arg;

    if (event->kind == JSONRPCC_CONNECTED)
        atomic_fetch_add(&events->connected, 1);
    else
        atomic_fetch_add(&events->others, 1);
}

/* A listener that is added late gets the past events, too. */
static void test_a_late_listener_gets_past_events(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    struct events events[2] = {0};
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);

    CHECK(echo(sync) == JSONRPCC_OK);
    for (int i = 0; i < 2; i++) {
        jsonrpcc_on_event(client, on_event, &events[i]);
        for (int n = 0; events[i].connected == 0 && n < 5000; n++)
            nap();
        CHECK(events[i].connected == 1 && events[i].others == 0);
    }
    CHECK(jsonrpcc_in_callback(client) == false);
    jsonrpcc_on_event(client, NULL, NULL);
    CHECK(echo(sync) == JSONRPCC_OK);
    jsonrpcc_sync_free(sync);
    end_client(client);
}

/* ---- life ---------------------------------------------------------------- */

/* A client that is freed before its outcomes have come reports none, and leaks
 * nothing. */
static void test_freed_with_calls_in_flight(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    const char *text = params();

    CHECK(jsonrpcc_queue_request(queue, 1, "mute", 4, text, strlen(text), 60000,
                                 JSONRPCC_WAIT_FOR_READY) > 0);
    text = params();
    CHECK(jsonrpcc_sync_call(sync, "mute", 4, text, strlen(text), 60000, 0,
                             10) == JSONRPCC_EPENDING);
    jsonrpcc_sync_free(sync);
    jsonrpcc_queue_free(queue);
    CHECK(jsonrpcc_client_close(client, -1));
    jsonrpcc_client_free(client);
}

#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */

/* What a child inherits cannot be used there, and does no harm. */
static void use_in_child(jsonrpcc_client *client, jsonrpcc_queue *queue,
                         jsonrpcc_sync *sync, jsonrpcc_waiter *waiter)
{
    jsonrpcc_completions completions;
    unsigned failures = check_failures;

    CHECK(jsonrpcc_waiter_is_foreign(waiter));
    CHECK(jsonrpcc_queue_is_foreign(queue));
    CHECK(!jsonrpcc_in_callback(client));
    CHECK(!jsonrpcc_queue_fetch(queue, &completions));
    CHECK(!jsonrpcc_queue_poll(queue));
    CHECK(jsonrpcc_queue_poll_fd(queue) == -1);
    CHECK(jsonrpcc_queue_room(queue, 10));
    CHECK(jsonrpcc_queue_request(queue, 1, "m", 1, NULL, 0, 0, 0) ==
          -JSONRPCC_EFOREIGN);
    CHECK(jsonrpcc_queue_wait(queue, &completions, 10) == JSONRPCC_EFOREIGN);
    CHECK(jsonrpcc_wait(waiter, 10) == JSONRPCC_EFOREIGN);
    jsonrpcc_signal(waiter);
    CHECK(jsonrpcc_sync_outcome(sync) != NULL); /* of a call before the fork */
    CHECK(echo(sync) == JSONRPCC_EFOREIGN);
    CHECK(jsonrpcc_sync_outcome(sync) == NULL);
    CHECK(jsonrpcc_sync_wait(sync, 10) == JSONRPCC_EFOREIGN);
    jsonrpcc_queue_free(queue);
    jsonrpcc_sync_free(sync);
    jsonrpcc_waiter_free(waiter);
    jsonrpcc_sync *fresh = jsonrpcc_sync_new(client);
    CHECK(fresh != NULL && echo(fresh) == JSONRPCC_OK);
    jsonrpcc_sync_free(fresh);
    CHECK(jsonrpcc_client_close(client, 5000));
    jsonrpcc_client_free(client);
    check_exit(check_failures > failures);
}

static void test_in_a_forked_child(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_waiter *waiter = jsonrpcc_waiter_new(client, true);
    int status = 0;

    CHECK(echo(sync) == JSONRPCC_OK);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        use_in_child(client, queue, sync, waiter);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    number += 2;
    CHECK(echo(sync) == JSONRPCC_OK);
    jsonrpcc_waiter_free(waiter);
    jsonrpcc_sync_free(sync);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

#else

static void test_in_a_forked_child(void)
{
}

#endif

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin_peer();
    test_smaller_structs();
    test_limits_of_a_client();
    test_callbacks_cannot_wait_for_themselves();
    test_one_call_at_a_time_in_a_sync();
    test_further_members();
    test_a_late_listener_gets_past_events();
    test_freed_with_calls_in_flight();
    test_in_a_forked_child();
    end_peer();
    return check_done();
}
