/* Many calls of "add", outcomes told in C: what both extensions do. */

#ifndef ADDING_H
#define ADDING_H

#include <jsonrpcc_capi.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t sum;
    int32_t results, errors;
} adding;

/* What the callbacks share. */
struct adding_state {
    const jsonrpcc_capi *rpc;
    jsonrpcc_waiter *done;
    atomic_int left; /* calls without an outcome */
    adding told;     /* by the callbacks, which run one at a time */
};

/* The number in a result: of most from its text, of each tenth as a tree. */
static int64_t adding_number(const jsonrpcc_capi *rpc, uint64_t token,
                             const jsonrpcc_outcome *outcome)
{
    char digits[24];

    if (token % 10 == 0) {
        struct json_object *tree = rpc->outcome_tree(outcome);
        int64_t number = rpc->json_object_get_int64(tree);
        rpc->json_object_put(tree);
        return number;
    }
    if (outcome->json_len >= sizeof digits)
        return 0;
    memcpy(digits, outcome->json, outcome->json_len);
    digits[outcome->json_len] = '\0';
    return strtoll(digits, NULL, 10);
}

static void adding_less(struct adding_state *state, int n)
{
    if (n > 0 && atomic_fetch_sub(&state->left, n) == n)
        state->rpc->signal(state->done);
}

/* Runs without the GIL, on the thread that drives the client's loop. */
static void adding_done(void *arg, uint64_t token,
                        const jsonrpcc_outcome *outcome)
{
    struct adding_state *state = arg;

    if (outcome->status == JSONRPCC_OK) {
        state->told.results++;
        state->told.sum += adding_number(state->rpc, token, outcome);
    } else {
        state->told.errors++;
    }
    adding_less(state, 1);
}

/* add(i, 1) for i below count; returns when all have their outcome.  Does not
 * touch Python: call it without the GIL. */
static adding add_all(const jsonrpcc_capi *rpc, jsonrpcc_client *client,
                      int count)
{
    struct adding_state state = {.rpc = rpc, .left = count};
    int accepted = 0;

    if (count <= 0 || (state.done = rpc->waiter_new(client, false)) == NULL)
        return state.told;
    for (; accepted < count; accepted++) {
        char params[32];
        jsonrpcc_call call = {
            .size = sizeof call,
            .method = "add",
            .method_len = 3,
            .params = params,
            .params_len =
                (size_t)snprintf(params, sizeof params, "[%d, 1]", accepted),
            .timeout_ms = 30000,
            .done = adding_done,
            .arg = &state,
            .token = (uint64_t)accepted,
        };
        jsonrpcc_status status;

        while ((status = rpc->request(client, &call, NULL)) == JSONRPCC_EFULL)
            rpc->room(client, 1000);
        if (status != JSONRPCC_OK)
            break; /* closed, or no memory: the rest would fare no better */
    }
    adding_less(&state, count - accepted);
    while (rpc->wait(state.done, 1000) == JSONRPCC_EPENDING)
        ;
    rpc->waiter_free(state.done);
    state.told.errors += count - accepted;
    return state.told;
}

#endif
