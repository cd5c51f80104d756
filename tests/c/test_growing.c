/* Structs and flags of callers that are newer than the library, or wrong. */
#include "check.h"
#include "peer_client.h"

#include <errno.h>
#include <string.h>

/* A struct as a later version has it. */
struct later_options {
    jsonrpcc_options known;
    uint64_t more;
};
struct later_call {
    jsonrpcc_call known;
    uint64_t more;
};

static void test_options_of_a_later_version(void)
{
    struct later_options options = {
        .known = {.size = sizeof options, .servers = servers}};
    jsonrpcc_client *client = NULL;
    char why[100] = "";

    CHECK(jsonrpcc_client_new(&options.known, &client, why, sizeof why) ==
          JSONRPCC_OK);
    end_client(client);
    client = NULL;
    options.more = 1ULL << 56; /* its last byte, or its first */
    CHECK(jsonrpcc_client_new(&options.known, &client, why, sizeof why) ==
          JSONRPCC_EINVAL);
    CHECK(client == NULL && strstr(why, "option") != NULL);
    CHECK(jsonrpcc_client_new(&options.known, &client, NULL, 0) ==
          JSONRPCC_EINVAL);
}

static void test_unknown_flags_of_a_client(void)
{
    jsonrpcc_options options = {.size = sizeof options, .servers = servers};
    jsonrpcc_client *client = NULL;
    char why[100] = "";

    for (uint32_t flag = 4; flag != 0; flag <<= 1) {
        options.flags = JSONRPCC_HOST_CALLBACKS | flag;
        CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
              JSONRPCC_EINVAL);
        CHECK(client == NULL && strstr(why, "flags") != NULL);
    }
    options.size = offsetof(jsonrpcc_options, flags); /* an earlier version's */
    CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
          JSONRPCC_OK);
    CHECK(jsonrpcc_host_fd(client) == -1 && !jsonrpcc_host_poll(client));
    end_client(client);
}

static void test_calls_of_a_later_version(jsonrpcc_client *client)
{
    struct later_call calls[2] = {0};
    jsonrpcc_status status;

    for (int i = 0; i < 2; i++)
        calls[i].known = (jsonrpcc_call){
            .size = sizeof calls[i], .method = "echo", .method_len = 4};
    CHECK(jsonrpcc_request(client, &calls[0].known, NULL) == JSONRPCC_OK);
    CHECK(jsonrpcc_request_many(client, &calls[0].known, 2, &status) == 2 &&
          status == JSONRPCC_OK);
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    CHECK(jsonrpcc_queue_submit(queue, &calls[0].known) > 0);
    CHECK(jsonrpcc_sync_submit(sync, &calls[0].known, 0) == JSONRPCC_EPENDING);
    jsonrpcc_sync_free(sync);
    sync = jsonrpcc_sync_new(client);
    calls[1].more = 1;
    CHECK(jsonrpcc_queue_submit(queue, &calls[1].known) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_sync_submit(sync, &calls[1].known, 0) == JSONRPCC_EINVAL);
    jsonrpcc_sync_free(sync);
    jsonrpcc_queue_free(queue);
    CHECK(jsonrpcc_request(client, &calls[1].known, NULL) == JSONRPCC_EINVAL);
    CHECK(jsonrpcc_request_many(client, &calls[0].known, 2, &status) == 1 &&
          status == JSONRPCC_EINVAL);
}

static void test_what_is_not_a_call(jsonrpcc_client *client)
{
    const int32_t times[] = {-1, -1000, INT32_MIN};
    jsonrpcc_sync *sync = jsonrpcc_sync_new(client);
    jsonrpcc_queue *queue = jsonrpcc_queue_new(client, 0);
    jsonrpcc_call call = {
        .size = sizeof call, .method = "echo", .method_len = 4};
    jsonrpcc_stats before, after;

    jsonrpcc_client_stats(client, &before, sizeof before);
    for (int i = 0; i < 3; i++) {
        call.timeout_ms = times[i];
        CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_EINVAL);
        CHECK(jsonrpcc_queue_request(queue, 1, "echo", 4, NULL, 0, times[i],
                                     0) == -JSONRPCC_EINVAL);
        CHECK(jsonrpcc_sync_call(sync, "echo", 4, NULL, 0, times[i], 0, 0) ==
              JSONRPCC_EINVAL);
    }
    call.timeout_ms = 0;
    call.method_id = 257; /* beyond max_methods */
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_EINVAL);
    CHECK(jsonrpcc_queue_submit(queue, &call) == -JSONRPCC_EINVAL);
    CHECK(jsonrpcc_sync_submit(sync, &call, 0) == JSONRPCC_EINVAL);
    call.method_id = 0;
    for (uint32_t flag = 128; flag != 0; flag <<= 1) {
        size_t at = 0;
        call.flags = flag;
        CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_EINVAL);
        CHECK(jsonrpcc_queue_request(queue, 1, "echo", 4, NULL, 0, 0, flag) ==
              -JSONRPCC_EINVAL);
        CHECK(jsonrpcc_queue_request_many(queue, 1, "echo", 4, "[[1]]", 5, &at,
                                          1, 0, flag) == -JSONRPCC_EINVAL);
        CHECK(jsonrpcc_sync_call(sync, "echo", 4, NULL, 0, 0, flag, 0) ==
              JSONRPCC_EINVAL);
    }
    jsonrpcc_client_stats(client, &after, sizeof after);
    CHECK(after.requests == before.requests);
    call.flags = 0;
    call.method_id = 256; /* the last of max_methods */
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    errno = 0;
    CHECK(jsonrpcc_queue_new(client, 64) == NULL && errno == EINVAL);
    jsonrpcc_sync_free(sync);
    jsonrpcc_queue_free(queue);
}

static void test_what_is_filled_in(jsonrpcc_client *client)
{
    struct {
        jsonrpcc_stats known;
        uint64_t more[4];
    } stats;
    struct {
        jsonrpcc_server_info known;
        uint64_t more[4];
    } info;

    memset(&stats, 0xff, sizeof stats);
    memset(&info, 0xff, sizeof info);
    jsonrpcc_client_stats(client, &stats.known, sizeof stats);
    CHECK(jsonrpcc_server_get(client, 0, &info.known, sizeof info));
    for (int i = 0; i < 4; i++)
        CHECK(stats.more[i] == 0 && info.more[i] == 0);
    memset(&stats, 0xff, sizeof stats);
    jsonrpcc_client_stats(client, &stats.known, 8);
    CHECK(stats.known.requests > 0 && stats.known.notifications == UINT64_MAX);
}

int main(void)
{
    begin_peer();
    jsonrpcc_client *client = new_client((jsonrpcc_options){0});
    test_options_of_a_later_version();
    test_unknown_flags_of_a_client();
    test_calls_of_a_later_version(client);
    test_what_is_not_a_call(client);
    test_what_is_filled_in(client);
    end_client(client);
    end_peer();
    return check_done();
}
