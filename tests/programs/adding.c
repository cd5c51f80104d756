/* Many calls from a program without Python: adding SERVERS COUNT prints the sum
 * of add(i, 1) for i below COUNT, and how many calls failed. */

#include <jsonrpcc.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct told {
    jsonrpcc_waiter *all;
    int64_t sum;
    int left, failed;
};

static void done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    struct told *told = arg;
    char digits[24];

    (void)token;
    if (outcome->status == JSONRPCC_OK && outcome->json_len < sizeof digits) {
        memcpy(digits, outcome->json, outcome->json_len);
        digits[outcome->json_len] = '\0';
        told->sum += strtoll(digits, NULL, 10);
    } else {
        told->failed++;
    }
    if (--told->left == 0)
        jsonrpcc_signal(told->all);
}

int main(int argc, char **argv)
{
    jsonrpcc_options options = {.size = sizeof options};
    jsonrpcc_client *client;
    char why[256];

    if (argc != 3)
        return 2;
    options.servers = argv[1];
    if (jsonrpcc_client_new(&options, &client, why, sizeof why) !=
        JSONRPCC_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    struct told told = {.left = atoi(argv[2])};
    told.all = jsonrpcc_waiter_new(client, false);
    for (int i = 0, count = told.left; i < count; i++) {
        char params[32];
        int len = snprintf(params, sizeof params, "[%d,1]", i);
        jsonrpcc_call call = {.size = sizeof call,
                              .method = "add",
                              .method_len = 3,
                              .params = params,
                              .params_len = (size_t)len,
                              .timeout_ms = 30000,
                              .done = done,
                              .arg = &told};
        jsonrpcc_status status = jsonrpcc_request(client, &call, NULL);

        if (status != JSONRPCC_OK) {
            fprintf(stderr, "%s\n", jsonrpcc_status_text(status));
            return 1;
        }
    }
    while (jsonrpcc_wait(told.all, 1000) == JSONRPCC_EPENDING)
        ;
    printf("%" PRId64 " %d\n", told.sum, told.failed);
    jsonrpcc_waiter_free(told.all);
    jsonrpcc_client_close(client, -1);
    jsonrpcc_client_free(client);
    return 0;
}
