/* What a hello may consist of. */
#include "fault_here.h"

#include "client/hello.h"
#include "hello_check.h"

#include <errno.h>

static bool is_refused(const jsonrpcc_call *calls, size_t count,
                       const char *text)
{
    struct jrc_hello *hello;

    int error = jrc_hello_new(&hello, calls, count, JSONRPCC_HELLO_BY_NAME,
                              &jrc_netstrings, why, sizeof why);
    if (error == EINVAL && hello == NULL && strcmp(why, text) == 0)
        return true;
    printf("not refused, or: %s\n", why);
    return false;
}

static void test_what_a_hello_may_be(void)
{
    static char large[JRC_HELLO_SIZE + 1];
    jsonrpcc_call calls[9];

    for (int i = 0; i < 9; i++)
        calls[i] = call_of("m", NULL);
    CHECK(is_refused(calls, 9, "hello: 9 requests, of at most 8"));
    calls[1].flags = JSONRPCC_NOTIFICATION;
    CHECK(is_refused(calls, 2, "hello[1]: it cannot be a notification"));
    calls[1].flags = JSONRPCC_IDEMPOTENT;
    CHECK(is_refused(calls, 2, "hello[1]: flags other than LENIENT"));
    calls[1] = call_of("", NULL);
    CHECK(is_refused(calls, 2, "hello[1]: method is empty"));
    calls[1] = call_of("m", "{\"secret\":x}");
    CHECK(is_refused(calls, 2,
                     "hello[1]: params: expected a value at offset 10"));
    calls[1] = call_of("m", "1");
    CHECK(
        is_refused(calls, 2, "hello[1]: params must be an array or an object"));
    memset(large, 'x', sizeof large - 1);
    calls[1] = call_of(large, NULL);
    CHECK(is_refused(calls, 2, "hello[1]: it is larger than 65536 bytes"));
    large[JRC_HELLO_SIZE - 20] = '\0';
    calls[1] = call_of(large, NULL);
    CHECK(is_refused(calls, 2, "hello[1]: it is larger than 65536 bytes"));
    large[JRC_HELLO_SIZE - 100] = '\0';
    calls[1] = call_of("m", "['it\\'s']");
    calls[1].flags = JSONRPCC_LENIENT;
    calls[2] = call_of(large, NULL);
    struct jrc_hello *hello;
    CHECK(jrc_hello_new(&hello, calls, 3, JSONRPCC_HELLO_BY_NAME,
                        &jrc_netstrings, why, sizeof why) == 0);
    jrc_hello_unref(hello);
    struct {
        jsonrpcc_call call;
        uint64_t more;
    } newer[2] = {{call_of("m", NULL), 0}, {call_of("m", NULL), 0}};
    newer[0].call.size = newer[1].call.size = sizeof newer[0];
    CHECK(jrc_hello_new(&hello, &newer[0].call, 2, 0, &jrc_netstrings, why,
                        sizeof why) == 0);
    jrc_hello_unref(hello);
    newer[1].more = 1;
    CHECK(is_refused(&newer[0].call, 2,
                     "hello[1]: a field that this version does not have"));
}

static void test_an_option_decides_what_an_error_means(void)
{
    const jsonrpcc_call calls[] = {call_of("rpc.x", NULL),
                                   call_of("rpc", NULL)};
    const bool refuses[3][2] = {[JSONRPCC_HELLO_BY_NAME] = {false, true},
                                [JSONRPCC_HELLO_ACCEPT] = {false, false},
                                [JSONRPCC_HELLO_REFUSE] = {true, true}};

    for (uint32_t errors = 0; errors < 3; errors++) {
        struct jrc_hello *hello;
        CHECK(jrc_hello_new(&hello, calls, 2, errors, &jrc_netstrings, why,
                            sizeof why) == 0);
        for (int i = 0; i < 2; i++)
            CHECK(hello->requests[i].refuses == refuses[errors][i]);
        jrc_hello_unref(hello);
    }
}

static void test_options_that_do_not_go_together(void)
{
    const jsonrpcc_call calls[] = {call_of("login", NULL)};
    jsonrpcc_options options = {.hello = NULL, .hello_count = 1};
    struct jrc_hello *hello;

    CHECK(jrc_hello_read(&hello, &options, why, sizeof why) == EINVAL);
    CHECK(hello == NULL && strcmp(why, "hello is missing") == 0);
    options = (jsonrpcc_options){.ping_interval_ms = 1000};
    CHECK(jrc_hello_read(&hello, &options, why, sizeof why) == EINVAL);
    CHECK(hello == NULL && strcmp(why, "ping_interval_ms needs a hello") == 0);
    options.hello = calls;
    options.hello_count = 1;
    CHECK(jrc_hello_read(&hello, &options, why, sizeof why) == 0);
    jrc_hello_unref(hello);
    options.hello_count = 0;
    options.ping_interval_ms = 0;
    CHECK(jrc_hello_read(&hello, &options, why, sizeof why) == 0);
    CHECK(hello == NULL);
}

static void test_no_memory(void)
{
    enum { MOST = 50 };
    const jsonrpcc_call calls[] = {call_of("login", "['a\\'b']"),
                                   call_of("m", "[1]")};
    jsonrpcc_call lenient[] = {calls[0], calls[1]};
    unsigned refusals = 0;

    lenient[0].flags = JSONRPCC_LENIENT;
    for (unsigned n = 1; n < MOST && fault_has_memory(); n++) {
        struct jrc_hello *hello;
        fault_arm(FAULT_MEMORY, n, false);
        int error = jrc_hello_new(&hello, lenient, 2, JSONRPCC_HELLO_BY_NAME,
                                  &jrc_netstrings, why, sizeof why);
        fault_disarm();
        CHECK(error == (hello == NULL ? ENOMEM : 0));
        jrc_hello_unref(hello);
        refusals += hello == NULL;
        if (hello != NULL)
            break;
    }
    CHECK(!fault_has_memory() || (refusals > 2 && refusals < MOST));
}

/* The client keeps the hello that it had. */
static void test_a_client_without_memory(void)
{
    const jsonrpcc_options options = {.size = sizeof options,
                                      .servers = "127.0.0.1:1"};
    const jsonrpcc_call calls[] = {call_of("login", NULL)};
    jsonrpcc_client *client = NULL;

    CHECK(jsonrpcc_client_new(&options, &client, why, sizeof why) ==
          JSONRPCC_OK);
    if (fault_has_memory()) {
        fault_arm(FAULT_MEMORY, 1, true);
        CHECK(jsonrpcc_hello_set(client, calls, 1, why, sizeof why) ==
              JSONRPCC_ENOMEM);
        fault_disarm();
        CHECK(strcmp(why, "Cannot allocate memory") == 0);
    }
    CHECK(jsonrpcc_hello_set(client, calls, 1, NULL, 0) == JSONRPCC_OK);
    jsonrpcc_client_free(client);
}

int main(void)
{
    test_no_memory();
    test_a_client_without_memory();
    test_options_that_do_not_go_together();
    test_what_a_hello_may_be();
    test_an_option_decides_what_an_error_means();
    return check_done();
}
