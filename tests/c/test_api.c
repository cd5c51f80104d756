/* The public functions: what they refuse, and what they say. */
#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <errno.h>
#include <json-c/json.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static struct peer peer;
static char servers[60];
static uint64_t number;

static jsonrpcc_client *new_client(jsonrpcc_options options)
{
    jsonrpcc_client *client = NULL;
    char why[200];

    options.size = sizeof options;
    if (options.servers == NULL)
        options.servers = servers;
    if (!CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
               JSONRPCC_OK))
        exit(1);
    return client;
}

static void end_client(jsonrpcc_client *client)
{
    CHECK(jsonrpcc_client_close(client, 5000));
    jsonrpcc_client_free(client);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* params with a new number, static. */
static const char *params(void)
{
    static char text[40];

    snprintf(text, sizeof text, "[%llu]", (unsigned long long)++number);
    return text;
}

static jsonrpcc_status echo(jsonrpcc_sync *sync)
{
    const char *text = params();

    return jsonrpcc_sync_call(sync, "echo", 4, text, strlen(text), 3000,
                              JSONRPCC_WAIT_FOR_READY, 5000);
}

/* ---- options ---------------------------------------------------------------
 */

static void test_options_are_checked(void)
{
    static const struct {
        jsonrpcc_options options;
        const char *why;
    } cases[] = {
        {{.timeout_ms = 1}, "servers is missing"},
        {{.servers = "x"}, "servers: ':' and a port are expected at offset 1"},
        {{.servers = "x:1", .timeout_ms = -1},
         "timeout_ms must be from 1 to 2147483647, not -1"},
        {{.servers = "x:1", .reconnect_ms = 100, .reconnect_max_ms = 99},
         "reconnect_max_ms must be from 100 to 2147483647, not 99"},
        {{.servers = "x:1", .max_depth = 4097},
         "max_depth must be from 1 to 4096, not 4097"},
        {{.servers = "x:1", .max_in_flight = (1 << 24) + 1},
         "max_in_flight must be from 1 to 16777216, not 16777217"},
        {{.servers = "x:1", .max_response = 63},
         "max_response must be from 64 to 2147483647, not 63"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        jsonrpcc_options options = cases[i].options;
        jsonrpcc_client *client = NULL;
        char why[200] = "";
        options.size = sizeof options;
        CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
              JSONRPCC_EINVAL);
        if (!CHECK(strncmp(why, cases[i].why, strlen(cases[i].why)) == 0))
            printf("  %s\n", why);
        /* A caller who does not want to know why is told as much as others. */
        CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) ==
              JSONRPCC_EINVAL);
        CHECK(jsonrpcc_client_new(&options, &client, why, 1) ==
              JSONRPCC_EINVAL);
        CHECK(client == NULL);
    }
}

/* Who was compiled with an older header passes smaller structs. */
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

/* ---- texts -----------------------------------------------------------------
 */

static void test_texts(void)
{
    static const struct {
        int32_t reason;
        const char *text;
    } cases[] = {
        {JSONRPCC_NO_REASON, "none"},
        {ECONNREFUSED, "Connection refused"},
        {JSONRPCC_PEER_CLOSED, "closed by the server"},
        {JSONRPCC_BAD_FRAME, "bad netstring from the server"},
        {JSONRPCC_FRAME_TOO_BIG, "response larger than max_response"},
        {JSONRPCC_CONNECT_TIMEOUT, "connect timeout"},
        {JSONRPCC_UNRESPONSIVE, "timeouts in a row and no response"},
        {-500, "reason -500"},
        {JSONRPCC_RESOLVE + EAI_NONAME,
         "name resolution: Name or service not known"},
    };
    char text[100];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        jsonrpcc_reason_text(cases[i].reason, text, sizeof text);
        if (!CHECK(strcmp(text, cases[i].text) == 0))
            printf("  %s\n", text);
        jsonrpcc_reason_text(cases[i].reason, text, 5);
        CHECK(strlen(text) <= 4);
        text[0] = 'x';
        jsonrpcc_reason_text(cases[i].reason, text, 0);
        CHECK(text[0] == 'x');
    }
    jsonrpcc_reason_text(99999, text, sizeof text);
    CHECK(strstr(text, "99999") != NULL);
    CHECK(strcmp(jsonrpcc_version(), JSONRPCC_VERSION) == 0);
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++)
        CHECK(strcmp(jsonrpcc_status_text((jsonrpcc_status)i), "unknown") != 0);
    CHECK(strcmp(jsonrpcc_status_text((jsonrpcc_status)99), "unknown") == 0);
    for (uint32_t i = 1; i < JSONRPCC_LATENCY_BUCKETS; i++)
        CHECK(jsonrpcc_latency_bound_us(i) > jsonrpcc_latency_bound_us(i - 1));
    CHECK(jsonrpcc_latency_bound_us(JSONRPCC_LATENCY_BUCKETS - 1) ==
          UINT64_MAX);
    CHECK(jsonrpcc_servers_check("a:1", NULL, 0));
    CHECK(!jsonrpcc_servers_check("a", NULL, 0));
}

/* ---- trees -----------------------------------------------------------------
 */

static void test_trees(void)
{
    static const struct {
        jsonrpcc_status status;
        const char *json, *want;
    } cases[] = {
        {JSONRPCC_OK, "[1,{\"a\":\"b\"}]", "[1,{\"a\":\"b\"}]"},
        {JSONRPCC_OK, "12", "12"}, /* ends with the text only */
        {JSONRPCC_OK, "true", "true"},
        {JSONRPCC_OK, "null", NULL},
        {JSONRPCC_EREMOTE, "{\"code\":1}", "{\"code\":1}"},
        {JSONRPCC_EINVALID, "[1]", NULL}, /* a rule, no JSON */
        {JSONRPCC_ETIMEDOUT, NULL, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = cases[i].json == NULL ? 0 : strlen(cases[i].json);
        char *exact = malloc(len + 1);
        memcpy(exact, cases[i].json != NULL ? cases[i].json : "", len);
        exact[len] = '7'; /* JSON texts are not terminated */
        jsonrpcc_outcome outcome = {
            .status = cases[i].status,
            .json = cases[i].json == NULL ? NULL : exact,
            .json_len = len,
        };
        struct json_object *tree = jsonrpcc_outcome_tree(&outcome);
        const char *text =
            tree == NULL
                ? NULL
                : json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN);
        CHECK((text == NULL) == (cases[i].want == NULL));
        if (text != NULL && !CHECK(strcmp(text, cases[i].want) == 0))
            printf("  %s\n", text);
        json_object_put(tree);
        free(exact);
    }
}

/* ---- from callbacks --------------------------------------------------------
 */

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

static void test_callbacks_can_not_wait_for_themselves(void)
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

/* ---- queues ----------------------------------------------------------------
 */

static void test_many_at_once(void)
{
    static const char many[] =
        " [ [1,\"a]\\\"\"] , {\"x\":[2,{}]},[3],[4]\n,[5] ] ";
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 4});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_EAGER);
    jsonrpcc_batch batch;
    size_t at = 0;
    unsigned seen = 0, outcomes = 0;

    /* An element that is no container is refused when it is its turn. */
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[7]", 3, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    at = 0;
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[],7]", 6, &at, 9, 1,
                                      JSONRPCC_NOTIFICATION) == 1);
    at = 0;
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "{}", 2, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[}", 3, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    /* What follows an element is part of what makes it one. */
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[] []]", 7, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[]", 3, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_request_many(queue, 0, "m", 1, "[[],]", 5, &at, 9, 0,
                                      0) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_fd(queue) == -1);
    at = 0;
    uint64_t token = 0;
    for (unsigned n = 0; outcomes < 5 && n < 5000; n++) {
        int64_t some = jsonrpcc_queue_request_many(
            queue, token, "echo", 4, many, sizeof many - 1, &at, 9, 5000,
            JSONRPCC_WAIT_FOR_READY);
        CHECK(some >= 0 || some == -JSONRPCC_EFULL);
        token += some > 0 ? (uint64_t)some : 0;
        jsonrpcc_queue_room(queue, 1);
        if (jsonrpcc_queue_wait(queue, &batch, 100) != JSONRPCC_OK)
            continue;
        for (size_t i = 0; i < batch.count; i++)
            seen |= 1U << batch.tokens[i];
        outcomes += (unsigned)(batch.count + batch.failure_count);
    }
    CHECK(token == 5 && outcomes == 5 && seen == 31);
    CHECK(jsonrpcc_queue_wait(queue, &batch, 1) == JSONRPCC_EPENDING);
    CHECK(jsonrpcc_client_close(client, 5000));
    CHECK(jsonrpcc_queue_wait(queue, &batch, 1000) == JSONRPCC_ECLOSED);
    jsonrpcc_queue_free(queue);
    jsonrpcc_queue_free(NULL);
    end_client(client);
}

/* Results that wait are made room for by none but the fetcher. */
static void test_a_queue_is_full_of_what_is_not_fetched(void)
{
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 2});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd ready = {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN};
    jsonrpcc_batch batch;

    CHECK(!jsonrpcc_queue_fetch(queue, &batch)); /* and so it will ring */
    for (uint64_t i = 0; i < 2; i++) {
        const char *text = params();
        CHECK(jsonrpcc_queue_request(queue, i, "echo", 4, text, strlen(text),
                                     5000, JSONRPCC_WAIT_FOR_READY) > 0);
    }
    CHECK(poll(&ready, 1, 5000) == 1);
    const char *text = params();
    CHECK(jsonrpcc_queue_request(queue, 2, "echo", 4, text, strlen(text), 5000,
                                 0) == -JSONRPCC_EFULL);
    CHECK(!jsonrpcc_queue_room(queue, 1100));
    size_t fetched = 0;
    for (unsigned n = 0; fetched < 2 && n < 5000; n++, nap())
        while (jsonrpcc_queue_fetch(queue, &batch))
            fetched += batch.count;
    CHECK(fetched == 2);
    CHECK(jsonrpcc_queue_room(queue, 900));
    jsonrpcc_queue_free(queue);
    end_client(client);
}

/* A caller with an event loop of its own drives ours by poll(). */
static void test_polled(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, JSONRPCC_QUEUE_FD);
    struct pollfd fds[2] = {
        {.fd = jsonrpcc_queue_poll_fd(queue), .events = POLLIN},
        {.fd = jsonrpcc_queue_fd(queue), .events = POLLIN},
    };
    jsonrpcc_batch batch;
    size_t fetched = 0;

    CHECK(fds[0].fd >= 0 && fds[1].fd >= 0);
    for (uint64_t i = 0; i < 20; i++) {
        const char *text = params();
        CHECK(jsonrpcc_queue_request(queue, i, "echo", 4, text, strlen(text),
                                     5000, JSONRPCC_WAIT_FOR_READY) > 0);
        for (unsigned n = 0; fetched <= i && n < 1000; n++) {
            jsonrpcc_queue_poll(queue);
            while (jsonrpcc_queue_fetch(queue, &batch))
                fetched += batch.count;
            if (fetched <= i)
                poll(fds, 2, 10);
        }
    }
    CHECK(fetched == 20); /* by polls, or by the event thread if it was first */
    CHECK(jsonrpcc_client_close(client, 5000));
    CHECK(!jsonrpcc_queue_poll(queue));
    jsonrpcc_queue_free(queue);
    end_client(client);
}

/* ---- events ----------------------------------------------------------------
 */

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

/* Whoever begins to listen hears what has been. */
static void test_a_late_listener_hears_all(void)
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

/* ---- life ------------------------------------------------------------------
 */

/* What is freed before its outcomes have come is told nothing, and leaks
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

/* The buffers of large results are given back. */
static void test_large_results(void)
{
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_batch batch;
    size_t got = 0, right = 0;
    uint64_t first = number;

    for (uint64_t i = 1; i <= 5; i++) {
        const char *text = params();
        CHECK(jsonrpcc_queue_request(queue, i, "big", 3, text, strlen(text),
                                     5000, JSONRPCC_WAIT_FOR_READY) > 0);
    }
    for (int n = 0; got < 5 && n < 100; n++) {
        if (jsonrpcc_queue_wait(queue, &batch, 1000) != JSONRPCC_OK)
            continue;
        for (size_t i = 0; i < batch.count; i++)
            right +=
                peer_says("big", first + batch.tokens[i],
                          batch.results + batch.starts[i] - batch.starts[0] + 1,
                          batch.lens[i]);
        got += batch.count;
    }
    CHECK(got == 5 && right == 5);
    jsonrpcc_queue_free(queue);
    end_client(client);
}

#ifndef __SANITIZE_THREAD__ /* its runtime does not like threads in children \
                             */

/* What a child inherits is of no use to it, and does no harm. */
static void use_in_child(jsonrpcc_client *client, jsonrpcc_queue *queue,
                         jsonrpcc_sync *sync, jsonrpcc_waiter *waiter)
{
    jsonrpcc_batch batch;
    unsigned failures = check_failures;

    CHECK(jsonrpcc_waiter_is_foreign(waiter));
    CHECK(!jsonrpcc_in_callback(client));
    CHECK(!jsonrpcc_queue_fetch(queue, &batch));
    CHECK(!jsonrpcc_queue_poll(queue));
    CHECK(jsonrpcc_queue_poll_fd(queue) == -1);
    CHECK(jsonrpcc_queue_room(queue, 10));
    CHECK(jsonrpcc_queue_request(queue, 1, "m", 1, NULL, 0, 0, 0) ==
          -JSONRPCC_ECLOSED);
    CHECK(jsonrpcc_wait(waiter, 10) == JSONRPCC_ECLOSED);
    jsonrpcc_signal(waiter);
    CHECK(echo(sync) == JSONRPCC_ECLOSED);
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

static void test_params_are_checked_where_asked(void)
{
    const char *rule = NULL;
    size_t at = 0;

    CHECK(jsonrpcc_params_check("[1]", 3, 0, &at, &rule));
    CHECK(!jsonrpcc_params_check("['a']", 5, 0, &at, &rule) && at == 1);
    CHECK(jsonrpcc_params_check("['a']", 5, JSONRPCC_LENIENT, &at, &rule));
    CHECK(!jsonrpcc_params_check("7", 1, JSONRPCC_LENIENT, &at, &rule) &&
          strcmp(rule, "params must be an array or an object") == 0);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    peer_start(&peer, NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", peer.port);
    test_options_are_checked();
    test_smaller_structs();
    test_texts();
    test_trees();
    test_callbacks_can_not_wait_for_themselves();
    test_one_call_at_a_time_in_a_sync();
    test_limits_of_a_client();
    test_many_at_once();
    test_a_queue_is_full_of_what_is_not_fetched();
    test_polled();
    test_a_late_listener_hears_all();
    test_freed_with_calls_in_flight();
    test_large_results();
    test_in_a_forked_child();
    test_params_are_checked_where_asked();
    peer_stop(&peer);
    return check_done();
}
