/* jsonrpcc_request_many(): many calls under one lock, and where it stops. */
#include "check.h"
#include "jsonrpcc.h"
#include "peer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MANY = 100 }; /* more than are submitted at a time */

static struct peer peer;
static char servers[60];
static char texts[MANY][20];
static atomic_uint told[MANY]; /* outcomes by token */
static atomic_uint good;

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    told[token]++;
    if (outcome->status == JSONRPCC_OK &&
        outcome->json_len == strlen(texts[token]) &&
        memcmp(outcome->json, texts[token], outcome->json_len) == 0)
        good++;
}

static jsonrpcc_client *new_client(jsonrpcc_options options)
{
    jsonrpcc_client *client = NULL;

    options.size = sizeof options;
    options.servers = servers;
    if (!CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK))
        exit(1);
    memset(told, 0, sizeof told);
    good = 0;
    return client;
}

static void end_client(jsonrpcc_client *client)
{
    CHECK(jsonrpcc_client_close(client, 5000));
    jsonrpcc_client_free(client);
}

static void fill(jsonrpcc_call *calls)
{
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof texts[i], "[%u]", i);
        calls[i] = (jsonrpcc_call){
            .size = sizeof calls[i],
            .method = "echo",
            .method_len = 4,
            .params = texts[i],
            .params_len = strlen(texts[i]),
            .timeout_ms = 5000,
            .flags = JSONRPCC_WAIT_FOR_READY,
            .done = on_done,
            .token = i,
        };
    }
}

/* Whether that many outcomes came in time, each once, and the right one. */
static bool all_told(unsigned count)
{
    for (int n = 0; n < 5000 && good < count; n++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (unsigned i = 0; i < MANY; i++)
        if (told[i] != (i < count))
            return false;
    return good == count;
}

static void test_all_are_accepted(void)
{
    jsonrpcc_call calls[MANY];
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_status status = JSONRPCC_EINVAL;

    fill(calls);
    CHECK(jsonrpcc_request_many(client, calls, 0, &status) == 0);
    CHECK(status == JSONRPCC_OK);
    CHECK(jsonrpcc_request_many(client, calls, MANY, &status) == MANY);
    CHECK(status == JSONRPCC_OK);
    CHECK(all_told(MANY));
    end_client(client);
}

/* Corked calls alone wake nobody; one uncorked call wakes the leader for all of
 * them. */
static void test_corks_hold_if_all_calls_have_them(void)
{
    jsonrpcc_call calls[MANY];
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_status status;

    fill(calls);
    for (unsigned i = 0; i < 10; i++)
        calls[i].flags |= i == 4 ? 0 : JSONRPCC_CORKED;
    CHECK(jsonrpcc_request_many(client, calls, 10, &status) == 10);
    CHECK(all_told(10));
    end_client(client);
}

static void test_it_stops_at_an_invalid_call(void)
{
    jsonrpcc_call calls[MANY];
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_status status;

    fill(calls);
    calls[40].params = "[7";
    calls[40].params_len = 2;
    CHECK(jsonrpcc_request_many(client, calls, MANY, &status) == 40);
    CHECK(status == JSONRPCC_EINVAL);
    CHECK(all_told(40));
    CHECK(jsonrpcc_request_many(client, calls + 40, 2, &status) == 0);
    CHECK(status == JSONRPCC_EINVAL);
    end_client(client);
}

static void test_it_stops_at_a_limit(void)
{
    jsonrpcc_call calls[MANY];
    jsonrpcc_client *client =
        new_client((jsonrpcc_options){.max_in_flight = 10});
    jsonrpcc_status status;
    jsonrpcc_stats stats;

    fill(calls);
    for (unsigned i = 0; i < MANY; i++)
        calls[i].flags |= JSONRPCC_CORKED;
    CHECK(jsonrpcc_request_many(client, calls, MANY, &status) == 10);
    CHECK(status == JSONRPCC_EFULL);
    jsonrpcc_client_stats(client, &stats, sizeof stats);
    CHECK(stats.requests == 10 && stats.refused_full == 1);
    jsonrpcc_flush(client);
    CHECK(all_told(10));
    end_client(client);
}

/* Callers with an older header have smaller structs, so the next call begins
 * earlier. */
static void test_smaller_calls(void)
{
    const size_t size = offsetof(jsonrpcc_call, token);
    jsonrpcc_call calls[MANY];
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_status status;
    char *small = calloc(3, size);

    fill(calls);
    for (unsigned i = 0; i < 3; i++) {
        calls[i].size = size;
        memcpy(small + i * size, &calls[i], size);
    }
    CHECK(jsonrpcc_request_many(client, (void *)small, 3, &status) == 3);
    CHECK(status == JSONRPCC_OK);
    for (int n = 0; n < 5000 && told[0] < 3; n++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(told[0] == 3); /* all have token 0 */
    calls[1].params = "7";
    calls[1].params_len = 1;
    memcpy(small + size, &calls[1], size);
    CHECK(jsonrpcc_request_many(client, (void *)small, 3, &status) == 1);
    CHECK(status == JSONRPCC_EINVAL);
    free(small);
    end_client(client);
}

static void test_a_closed_client(void)
{
    jsonrpcc_call calls[MANY];
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    jsonrpcc_status status;

    fill(calls);
    CHECK(jsonrpcc_client_close(client, 5000));
    CHECK(jsonrpcc_request_many(client, calls, MANY, &status) == 0);
    CHECK(status == JSONRPCC_ECLOSED);
    jsonrpcc_client_free(client);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    peer_start(&peer, NULL);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", peer.port);
    test_all_are_accepted();
    test_corks_hold_if_all_calls_have_them();
    test_it_stops_at_an_invalid_call();
    test_it_stops_at_a_limit();
    test_smaller_calls();
    test_a_closed_client();
    peer_stop(&peer);
    return check_done();
}
