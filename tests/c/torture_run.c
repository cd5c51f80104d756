/* One run of a scenario: its calls, and its client. */
#include "torture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- calls --------------------------------------------------------------- */

void torture_record(struct torture_run *run, uint64_t token,
                    const jsonrpcc_outcome *outcome)
{
    const char *method = run->calls[token].method;
    bool ok = outcome->status == JSONRPCC_OK;

    run->calls[token].status = outcome->status;
    run->calls[token].fate = outcome->fate;
    run->calls[token].right = run->calls[token].notification ||
                              (!ok && outcome->status != JSONRPCC_EREMOTE) ||
                              (ok != (strcmp(method, "refuse") == 0) &&
                               peer_says(method, run->calls[token].number,
                                         outcome->json, outcome->json_len));
    atomic_fetch_add(&run->calls[token].outcomes, 1);
}

static void on_done(void *arg, uint64_t token, const jsonrpcc_outcome *outcome)
{
    torture_record(arg, token, outcome);
}

/* Returns the token of a new entry of run->calls. */
uint64_t torture_enter(struct torture_run *run, const char *method,
                       uint32_t flags, char params[64])
{
    uint64_t token = run->accepted;

    if (token == TORTURE_CALLS)
        abort();
    run->calls[token].method = method;
    run->calls[token].number = ++torture_last_number;
    run->calls[token].notification = (flags & JSONRPCC_NOTIFICATION) != 0;
    if ((flags & JSONRPCC_LENIENT) == 0)
        sprintf(params, "[%llu,\"\\u0041\"]",
                (unsigned long long)torture_last_number);
    else
        sprintf(params, "[%llu, 'say \"a\"']",
                (unsigned long long)torture_last_number);
    return token;
}

uint64_t torture_call(struct torture_run *run, const char *method,
                      uint32_t flags)
{
    char params[64];
    uint64_t token = torture_enter(run, method, flags, params);
    uint64_t id = 0;
    jsonrpcc_call call = {
        .size = sizeof call,
        .method = method,
        .method_len = strlen(method),
        .params = params,
        .params_len = strlen(params),
        .timeout_ms = TORTURE_TIMEOUT_MS,
        .flags = flags,
        .done = on_done,
        .arg = run,
        .token = token,
    };

    jsonrpcc_status status = jsonrpcc_request(run->client, &call, &id);
    EXPECT(status == JSONRPCC_OK || torture_is_refusal(status));
    run->accepted += status == JSONRPCC_OK;
    return id;
}

bool torture_has_all(const struct torture_run *run)
{
    for (unsigned i = 0; i < run->accepted; i++)
        if (run->calls[i].outcomes == 0 && !run->calls[i].undelivered)
            return false;
    return true;
}

void torture_wait(const struct torture_run *run, uint64_t ms)
{
    uint64_t end_ms = torture_now_ms() + ms;

    while (!torture_has_all(run) && torture_now_ms() < end_ms)
        torture_nap();
}

/* ---- clients ------------------------------------------------------------- */

bool torture_is_refusal(jsonrpcc_status status)
{
    /* OpenSSL does not always say that it is memory that it lacks. */
    if (torture_tls != NULL && torture_now.fault.kind == FAULT_MEMORY &&
        status == JSONRPCC_EINVAL)
        return true;
    /* Without memory for a thread, pthread_create() returns EAGAIN. */
    return status == JSONRPCC_ENOMEM ||
           (int)status == JSONRPCC_SYSTEM + torture_now.fault.error ||
           (int)status == JSONRPCC_SYSTEM + EAGAIN;
}

static bool open_client(struct torture_run *run, const char *servers,
                        size_t undelivered, uint32_t flags)
{
    jsonrpcc_options options = {
        .size = sizeof options,
        .servers = servers,
        .timeout_ms = TORTURE_TIMEOUT_MS,
        /* A handshake needs CPU time, which others may be using: if we abandon
         * it too soon, the peer is still busy with those that we abandoned. */
        .connect_timeout_ms = TORTURE_TIMEOUT_MS * (torture_tls ? 10 : 1),
        .reconnect_ms = 1,
        .reconnect_max_ms = 5,
        .max_in_flight = 64,
        .max_undelivered_bytes = undelivered,
        .flags = flags,
        .tls = torture_tls,
    };
    char why[300];

    jsonrpcc_status status =
        jsonrpcc_client_new(&options, &run->client, why, sizeof why);
    EXPECT(status == JSONRPCC_OK || torture_is_refusal(status));
    EXPECT((status == JSONRPCC_OK) == (run->client != NULL));
    return run->client != NULL;
}

bool torture_open(struct torture_run *run, const char *servers,
                  size_t undelivered)
{
    return open_client(run, servers, undelivered, 0);
}

bool torture_open_hosted(struct torture_run *run)
{
    return open_client(run, torture_servers(), 1, JSONRPCC_HOST_CALLBACKS);
}
