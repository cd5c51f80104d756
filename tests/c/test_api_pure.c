/* The public functions that need no client: checks, texts and trees; and the
 * options that no client is made of. */
#include "check.h"
#include "jsonrpcc.h"

#include <errno.h>
#include <json-c/json.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* ---- checks -------------------------------------------------------------- */

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
        /* A caller that does not ask for the reason gets the same status. */
        CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) ==
              JSONRPCC_EINVAL);
        CHECK(jsonrpcc_client_new(&options, &client, why, 1) ==
              JSONRPCC_EINVAL);
        CHECK(client == NULL);
    }
}

static void test_params_are_checked_on_request(void)
{
    const char *rule = NULL;
    size_t at = 0;

    CHECK(jsonrpcc_params_check("[1]", 3, 0, &at, &rule));
    CHECK(!jsonrpcc_params_check("['a']", 5, 0, &at, &rule) && at == 1);
    CHECK(jsonrpcc_params_check("['a']", 5, JSONRPCC_LENIENT, &at, &rule));
    CHECK(!jsonrpcc_params_check("7", 1, JSONRPCC_LENIENT, &at, &rule) &&
          strcmp(rule, "params must be an array or an object") == 0);
}

/* ---- texts --------------------------------------------------------------- */

static void test_texts(void)
{
    static const struct {
        int error;
        const char *text;
    } refusals[] = {
        {EMFILE, "the process has no descriptors left"},
        {ENFILE, "the system has no descriptors left"},
        {EAGAIN, "no more threads can be started"},
        {EPERM, "the system refused a descriptor or a thread"},
    };
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
    snprintf(text, sizeof text, "%d.%d.%d", JSONRPCC_VERSION_NUMBER >> 16,
             JSONRPCC_VERSION_NUMBER >> 8 & 0xff,
             JSONRPCC_VERSION_NUMBER & 0xff);
    CHECK(strcmp(text, JSONRPCC_VERSION) == 0);
    CHECK(jsonrpcc_abi_version() == JSONRPCC_ABI_VERSION);
    for (int i = 0; i <= JSONRPCC_EDEADLK; i++)
        CHECK(strcmp(jsonrpcc_status_text((jsonrpcc_status)i), "unknown") != 0);
    CHECK(strcmp(jsonrpcc_status_text((jsonrpcc_status)99), "unknown") == 0);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        CHECK(strcmp(jsonrpcc_status_text((jsonrpcc_status)(JSONRPCC_SYSTEM +
                                                            refusals[i].error)),
                     refusals[i].text) == 0);
    for (uint32_t i = 1; i < JSONRPCC_LATENCY_BUCKETS; i++)
        CHECK(jsonrpcc_latency_bound_us(i) > jsonrpcc_latency_bound_us(i - 1));
    CHECK(jsonrpcc_latency_bound_us(JSONRPCC_LATENCY_BUCKETS - 1) ==
          UINT64_MAX);
    CHECK(jsonrpcc_servers_check("a:1", NULL, 0));
    CHECK(!jsonrpcc_servers_check("a", NULL, 0));
}

/* ---- trees --------------------------------------------------------------- */

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
        {JSONRPCC_EINVALID, "[1]", NULL}, /* one rule, not JSON */
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

int main(void)
{
    test_options_are_checked();
    test_params_are_checked_on_request();
    test_texts();
    test_trees();
    return check_done();
}
