/* The scenarios under faults: each kind of call, and what can become of one. */
#include "torture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void callbacks(struct torture_run *run)
{
    if (!torture_open(run, torture_servers(), 0))
        return;
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    torture_call(run, "refuse", 0);
    torture_call(run, "echo", JSONRPCC_NOTIFICATION);
    torture_call(run, "echo", JSONRPCC_LENIENT);
    torture_call(run, "big", JSONRPCC_WAIT_FOR_READY);
    torture_wait(run, TORTURE_WAIT_MS);
    torture_call(run, "e\"\\cho", 0);
    torture_call(run, "echo", 0);
    torture_wait(run, TORTURE_WAIT_MS);
}

static void breaks(struct torture_run *run)
{
    if (!torture_open(run, torture_servers(), 0))
        return;
    torture_call(run, "once", JSONRPCC_IDEMPOTENT | JSONRPCC_WAIT_FOR_READY);
    torture_call(run, "echo", JSONRPCC_IDEMPOTENT);
    torture_wait(run, TORTURE_WAIT_MS);
    torture_call(run, "drop", JSONRPCC_WAIT_FOR_READY);
    torture_call(run, "echo", 0);
    torture_wait(run, TORTURE_WAIT_MS);
}

static void failover(struct torture_run *run)
{
    if (!torture_open(run, torture_failover_servers(), 0))
        return;
    torture_call(run, "echo", 0);
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    torture_wait(run, TORTURE_WAIT_MS);
}

static void cancels(struct torture_run *run)
{
    if (!torture_open(run, torture_servers(), 0))
        return;
    uint64_t id = torture_call(run, "mute", JSONRPCC_WAIT_FOR_READY);
    torture_call(run, "echo", 0);
    jsonrpcc_cancel(run->client, id);
    torture_wait(run, TORTURE_WAIT_MS);
}

static void blocking(struct torture_run *run)
{
    static const char *const methods[] = {"echo", "refuse", "big", "echo"};

    if (!torture_open(run, torture_servers(), 0))
        return;
    jsonrpcc_sync *sync = jsonrpcc_sync_new(run->client);
    for (int i = 0; i < 4 && sync != NULL; i++) {
        char params[64];
        uint64_t token = torture_enter(run, methods[i], 0, params);
        jsonrpcc_status status = jsonrpcc_sync_call(
            sync, methods[i], strlen(methods[i]), params, strlen(params),
            TORTURE_SHORT_MS, JSONRPCC_WAIT_FOR_READY, TORTURE_PATIENCE_MS);
        EXPECT(status != JSONRPCC_EPENDING && status != JSONRPCC_EDEADLK);
        const jsonrpcc_outcome *outcome = jsonrpcc_sync_outcome(sync);
        if (outcome == NULL) {
            EXPECT(torture_is_refusal(status));
            continue;
        }
        run->accepted++;
        torture_record(run, token, outcome);
    }
    jsonrpcc_sync_free(sync);
}

/* Fetch everything from a queue until all outcomes are there, for at most
 * ms. */
static void fetch(struct torture_run *run, jsonrpcc_queue *queue, uint64_t ms)
{
    uint64_t end_ms = torture_now_ms() + ms;
    jsonrpcc_completions completions;

    do {
        while (jsonrpcc_queue_fetch(queue, &completions)) {
            for (size_t i = 0; i < completions.count; i++) {
                jsonrpcc_outcome outcome = {.fate = JSONRPCC_ANSWERED};
                outcome.json = jsonrpcc_completions_result(&completions, i,
                                                           &outcome.json_len);
                torture_record(run, completions.tokens[i], &outcome);
            }
            for (size_t i = 0; i < completions.failure_count; i++) {
                const jsonrpcc_failure *failure =
                    jsonrpcc_completions_failure(&completions, i);
                const jsonrpcc_outcome *outcome = &failure->outcome;
                /* The text of an error may be lost for lack of memory. */
                bool bare = outcome->status == JSONRPCC_EREMOTE &&
                            outcome->json == NULL;
                torture_record(run, failure->token, outcome);
                if (bare)
                    run->calls[failure->token].right = true;
            }
        }
        torture_nap();
    } while (!torture_has_all(run) && torture_now_ms() < end_ms);
}

static void submit(struct torture_run *run, jsonrpcc_queue *queue,
                   const char *method, uint32_t flags)
{
    char params[64];
    uint64_t token = torture_enter(run, method, flags, params);
    int64_t id =
        jsonrpcc_queue_request(queue, token, method, strlen(method), params,
                               strlen(params), TORTURE_TIMEOUT_MS, flags);

    EXPECT(id > 0 || torture_is_refusal((jsonrpcc_status)-id));
    run->accepted += id > 0;
}

static void queued(struct torture_run *run)
{
    /* So little that each reception stops the reading until the outcome is
     * fetched. */
    if (!torture_open(run, torture_servers(), 1))
        return;
    jsonrpcc_queue *queue = jsonrpcc_queue_new(
        run->client, JSONRPCC_QUEUE_FD | JSONRPCC_QUEUE_EVENTS);
    if (queue == NULL)
        return;
    submit(run, queue, "echo", JSONRPCC_WAIT_FOR_READY);
    submit(run, queue, "refuse", JSONRPCC_WAIT_FOR_READY);
    submit(run, queue, "big", JSONRPCC_WAIT_FOR_READY);
    fetch(run, queue, TORTURE_WAIT_MS);
    submit(run, queue, "echo", JSONRPCC_WAIT_FOR_READY);
    submit(run, queue, "echo", JSONRPCC_WAIT_FOR_READY);
    fetch(run, queue, TORTURE_WAIT_MS);
    fault_disarm();
    fetch(run, queue, TORTURE_PATIENCE_MS);
    jsonrpcc_queue_free(queue);
}

/* Poll until everything is delivered, for at most ms. */
static void poll_host(struct torture_run *run, uint64_t ms)
{
    uint64_t end_ms = torture_now_ms() + ms;

    do {
        jsonrpcc_host_poll(run->client);
        torture_nap();
    } while (!torture_has_all(run) && torture_now_ms() < end_ms);
}

static void hosted(struct torture_run *run)
{
    if (!torture_open_hosted(run))
        return;
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    torture_call(run, "refuse", JSONRPCC_WAIT_FOR_READY);
    torture_call(run, "big", JSONRPCC_WAIT_FOR_READY);
    torture_wait(run, TORTURE_WAIT_MS); /* the host is late */
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY | JSONRPCC_IDEMPOTENT);
    poll_host(run, TORTURE_WAIT_MS);
    torture_call(run, "drop", 0);
    torture_call(run, "echo", JSONRPCC_NOTIFICATION);
    poll_host(run, TORTURE_WAIT_MS);
    fault_disarm();
    poll_host(run, TORTURE_PATIENCE_MS);
    EXPECT(jsonrpcc_client_close(run->client, TORTURE_PATIENCE_MS));
    jsonrpcc_client_free(run->client);
    run->client = NULL;
}

/* Set the list; only an invalid one may be refused as such. */
static void set_servers(struct torture_run *run, const char *servers)
{
    bool wrong = strcmp(servers, "a:1 a:1") == 0;
    char why[100];

    jsonrpcc_status status =
        jsonrpcc_servers_set(run->client, servers, why, sizeof why);
    EXPECT(status == JSONRPCC_ENOMEM ||
           status == (wrong ? JSONRPCC_EINVAL : JSONRPCC_OK));
    EXPECT((status == JSONRPCC_OK) == (why[0] == '\0'));
}

static void lists(struct torture_run *run)
{
    if (!torture_open(run, torture_servers(), 0))
        return;
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    set_servers(run, torture_failover_servers());
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    torture_wait(run, TORTURE_WAIT_MS);
    set_servers(run, "a:1 a:1");
    set_servers(run, torture_servers());
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    torture_wait(run, TORTURE_WAIT_MS);
}

/* A name, and a method of its own.  The next lookup would come too late: in the
 * end, the address is in the list. */
static void names(struct torture_run *run)
{
    jsonrpcc_method_info method;
    jsonrpcc_entry_info entry;

    if (!torture_open(run, torture_name(), 0))
        return;
    uint16_t id = jsonrpcc_method(run->client, "echo", 4);
    EXPECT(jsonrpcc_method_get(run->client, id, &method, sizeof method));
    EXPECT(id == 0 || strcmp(method.name, "echo") == 0);
    torture_call(run, "echo", JSONRPCC_WAIT_FOR_READY);
    torture_wait(run, TORTURE_WAIT_MS);
    if (jsonrpcc_entry_get(run->client, 0, &entry, sizeof entry))
        EXPECT(strcmp(entry.text, torture_name()) == 0);
    fault_disarm();
    set_servers(run, torture_servers());
}

static void checks(struct torture_run *run)
{
    char why[100];
    const char *rule;
    size_t at;

    (void)run;
    bool good = jsonrpcc_params_check("['a', {'b': 1}]", 15, JSONRPCC_LENIENT,
                                      &at, &rule);
    EXPECT(good || strcmp(rule, "out of memory") == 0);
    good =
        jsonrpcc_servers_check("a:1,2 [::1]:2 srv:_a._b.c,-1", why, sizeof why);
    EXPECT(good || strcmp(why, strerror(ENOMEM)) == 0);
}

const struct torture_scenario torture_scenarios[] = {
    {"callbacks", callbacks}, {"breaks", breaks},     {"failover", failover},
    {"cancels", cancels},     {"blocking", blocking}, {"queued", queued},
    {"hosted", hosted},       {"lists", lists},       {"names", names},
    {"checks", checks},
};
const size_t torture_scenario_count =
    sizeof torture_scenarios / sizeof torture_scenarios[0];
