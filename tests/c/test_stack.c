/* A callback on the event thread has the stack that jsonrpcc.h promises. */
#include "check.h"
#include "jsonrpcc.h"

#include <json-c/json.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROMISED = 1024 * 1024, PAGE = 4096, DEPTH = 4095 };

static atomic_bool done;

__attribute__((noinline)) static unsigned touch_all(void)
{
    volatile char stack[PROMISED];
    unsigned sum = 0;

    for (size_t i = 0; i < sizeof stack; i += PAGE)
        stack[i] = 1;
    for (size_t i = 0; i < sizeof stack; i += PAGE)
        sum += (unsigned)stack[i];
    return sum;
}

/* The deepest result possible, as json-c reads and writes it: both recurse for
 * each level. */
static void write_deepest(const char *open, const char *close)
{
    size_t len = DEPTH * (strlen(open) + strlen(close)) + 1;
    char *text = malloc(len + 1);
    char *at = text;

    for (int i = 0; i < DEPTH; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, "1");
    for (int i = 0; i < DEPTH; i++)
        at = stpcpy(at, close);
    jsonrpcc_outcome outcome = {.json = text, .json_len = len};
    struct json_object *tree = jsonrpcc_outcome_tree(&outcome);
    CHECK(tree != NULL);
    CHECK(strlen(json_object_to_json_string(tree)) >= len);
    json_object_put(tree);
    free(text);
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    (void)arg;
    (void)token;
    (void)outcome;
    CHECK(touch_all() == PROMISED / PAGE);
    write_deepest("[", "]");
    write_deepest("{\"a\":", "}");
    done = true;
}

int main(void)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = "127.0.0.1:1", /* refused */
        .reconnect_attempts = -1,
    };
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = "m",
        .method_len = 1,
        .done = on_done,
    };
    jsonrpcc_client *client = NULL;

    if (!CHECK(jsonrpcc_client_new(&options, &client, NULL, 0) == JSONRPCC_OK))
        return 1;
    /* No thread waits: the event thread drives the loop. */
    CHECK(jsonrpcc_request(client, &call, NULL) == JSONRPCC_OK);
    for (int n = 0; n < 10000 && !done; n++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    CHECK(done);
    CHECK(jsonrpcc_client_close(client, 5000));
    jsonrpcc_client_free(client);
    return check_done();
}
