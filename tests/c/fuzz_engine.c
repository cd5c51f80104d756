/* The client as a state machine, whatever happens to it in whatever order.
 *
 * The first byte chooses.  Even: the rest are the dice of the simulator, whose
 * checker knows the promises.  Odd: the rest is a script of submits, bytes from
 * the servers, time, sends, losses, cancels and close, straight into the
 * engine; its books must be right after each step, and in the end each call has
 * had its one outcome. */
#include "rig.h"
#include "sim.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "\x02some dice, and some more of them: a short and peaceful life",
    "\x01"
    "\x01\x02\x05\xff\x03\x01\x40\x02\x01\x0d{\"jsonrpc\":\"2.0\","
    "\x07",
    "\x03"
    "\x01\xff\x09\x20\x06\x01\x05\x10\x04\x01\x02\x03\x03\x7f\x08\x01",
    NULL,
};

extern const uint64_t fuzz_inputs;
const uint64_t fuzz_inputs = 2000; /* a life takes a millisecond */

enum { CALLS = 200 };

struct script {
    const uint8_t *at, *end;
    struct rig *rig;
    uint64_t ids[CALLS];
    uint64_t count; /* of calls; the tokens are 1, 2, ... */
    bool closing;
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_engine: %s\n", what);
    abort();
}

static uint8_t next(struct script *script)
{
    return script->at < script->end ? *script->at++ : 0;
}

static enum jrc_server_state state_of(const struct script *script, uint32_t i)
{
    return script->rig->servers.list[i].state;
}

static bool is_up(const struct script *script, uint32_t i)
{
    enum jrc_server_state state = state_of(script, i);

    return state == JRC_SERVER_UP || state == JRC_SERVER_SUSPECT ||
           state == JRC_SERVER_PROVING;
}

/* Bytes reach the client, as many at a time as it has room for. */
static void receive(struct script *script, uint32_t i, const char *bytes,
                    size_t len)
{
    struct jrc_engine *engine = &script->rig->engine;

    while (len > 0 && is_up(script, i)) {
        size_t room;
        char *space = jrc_engine_space(engine, i, &room);
        require(space != NULL && room > 0, "no room to receive in");
        size_t n = len < room ? len : room;
        memcpy(space, bytes, n);
        jrc_engine_received(engine, i, n, script->rig->now_us);
        bytes += n;
        len -= n;
    }
}

static void respond(struct script *script, uint32_t i)
{
    static const char *const forms[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"error\":{\"code\":1,"
        "\"message\":\"\"}}",
        "{\"id\":\"%llu\",\"result\":null,\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":%llu}",
        "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":[1,}",
        "[%llu]",
        "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":1,\"result\":2}",
        "{\"method\":\"x\",\"id\":%llu}",
    };
    char payload[200], frame[230];
    uint8_t which = next(script);
    uint64_t id =
        script->count == 0 ? which : script->ids[next(script) % script->count];

    int len = snprintf(payload, sizeof payload, forms[which % 8],
                       (unsigned long long)id);
    len = snprintf(frame, sizeof frame, "%d:%s,", len, payload);
    receive(script, i, frame, (size_t)len);
}

static void submit(struct script *script)
{
    if (script->count == CALLS)
        return;
    uint32_t flags =
        next(script) &
        (JSONRPCC_NOTIFICATION | JSONRPCC_IDEMPOTENT | JSONRPCC_WAIT_FOR_READY);
    int32_t timeout_ms = 1 + next(script) * 8;
    script->ids[script->count] =
        rig_call(script->rig, script->count + 1, flags, timeout_ms);
    script->count++;
}

/* The socket of connection i opens, or is lost. */
static void change(struct script *script, uint32_t i)
{
    struct rig *rig = script->rig;
    uint8_t what = next(script);

    if (state_of(script, i) == JRC_SERVER_CONNECTING && what % 2 == 0)
        jrc_engine_opened(&rig->engine, i, rig->now_us);
    else if (state_of(script, i) != JRC_SERVER_DOWN)
        jrc_engine_lost(&rig->engine, i, what, rig->now_us);
}

/* What loop.c does, except for sending. */
static void act(struct script *script)
{
    struct rig *rig = script->rig;
    struct jrc_action action;
    unsigned n = 0;

    while (jrc_engine_next(&rig->engine, &action)) {
        require(n++ < 1000, "the actions do not end");
        if (action.todo == JRC_OPEN)
            jrc_engine_connecting(&rig->engine, action.conn, rig->now_us);
        else if (action.todo == JRC_NEXT_ADDRESS)
            jrc_engine_lost(&rig->engine, action.conn, JSONRPCC_CONNECT_TIMEOUT,
                            rig->now_us);
    }
}

static void step(struct script *script)
{
    struct rig *rig = script->rig;
    uint8_t op = next(script);
    uint32_t i = op / 16 % (uint32_t)rig->servers.count;

    switch (op % 9) {
    case 0:
    case 1:
        submit(script);
        break;
    case 2: {
        size_t len = next(script);
        if (len > (size_t)(script->end - script->at))
            len = (size_t)(script->end - script->at);
        receive(script, i, (const char *)script->at, len);
        script->at += len;
        break;
    }
    case 3:
        if (is_up(script, i))
            rig_send(rig, i, next(script) * 4U);
        break;
    case 4:
        rig_wait(rig, 1ULL << next(script) % 25);
        break;
    case 5:
        respond(script, i);
        break;
    case 6:
        change(script, i);
        break;
    case 7:
        if (script->count > 0)
            jrc_engine_cancel(&rig->engine,
                              script->ids[next(script) % script->count],
                              rig->now_us);
        break;
    default:
        if (next(script) % 16 == 0 && !script->closing) {
            jrc_engine_close(&rig->engine, rig->now_us, 1000);
            script->closing = true;
        }
    }
    act(script);
    require(rig_sound(&rig->engine),
            "the engine's bookkeeping is inconsistent");
    jrc_calls_reclaim(&rig->calls);
}

static void play(const uint8_t *data, size_t len)
{
    static const char *const lists[] = {"a:1", "a:1 b:2", "a:1,2 b:2,1 c:3,2"};
    static struct rig rig;
    struct script script = {data + 1, data + len, &rig, {0}, 0, false};
    static unsigned outcomes[CALLS + 1];

    rig_start_down(&rig, lists[data[0] / 2 % 3], data[0] % 5 - 1);
    act(&script);
    while (script.at < script.end && rig.outcome_count < RIG_LOG)
        step(&script);
    if (!script.closing)
        jrc_engine_close(&rig.engine, rig.now_us, 1000);
    rig_wait(&rig, 3600000000ULL);
    act(&script);
    require(jrc_engine_finished(&rig.engine), "close does not end");
    memset(outcomes, 0, sizeof outcomes);
    for (size_t n = 0; n < rig.outcome_count; n++)
        outcomes[rig.outcomes[n].token]++;
    for (uint64_t token = 1; token <= script.count; token++)
        require(outcomes[token] == 1, "a call has not one outcome");
    jrc_calls_reclaim(&rig.calls);
    require(rig.calls.live == 0, "something is kept of calls that have ended");
    rig_stop(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct sim sim;
    size_t at = SIZE_MAX;

    if (len == 0)
        return 0;
    if (data[0] % 2 == 1) {
        play(data, len);
        return 0;
    }
    memset(&sim, 0, sizeof sim);
    const char *rule = sim_run_script(&sim, data + 1, len - 1, &at);
    if (rule != NULL && at < sim.history.count)
        sim_history_print(&sim.history, sim.history.list[at].token);
    require(rule == NULL, rule);
    sim_clear(&sim);
    return 0;
}
