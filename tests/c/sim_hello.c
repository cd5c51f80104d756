/* Hellos and pings: how the fake servers respond to them, and what must hold.
 *
 * Whether a world has them is derived from the seed without rolling the dice.
 * So seeds without a hello give the same runs as before hellos existed. */
#include "engine/greeting.h"
#include "sim.h"
#include "wire/netstring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000, TIME_LIMIT_US = SECOND };

/* How many turns a hello may outlast its time limit: the engine looks once
 * more. */
enum { LATE_TURNS = 4 };

const char *const sim_hello_fault_names[SIM_HELLO_FAULTS] = {
    "silent",  "refused", "late",   "foreign",
    "garbage", "twice",   "broken", "changed"};

/* ---- the world ---- */

static bool strikes(struct sim *sim, enum sim_hello_fault fault)
{
    if (sim->healing || sim_roll(sim, 1000) >= sim->hello.odds[fault])
        return false;
    sim->hello.faults[fault]++;
    return true;
}

void sim_hello_draw(struct sim *sim, uint64_t seed)
{
    static const uint32_t max_odds[SIM_HELLO_FAULTS] = {300, 300, 200, 200,
                                                        100, 100, 200, 20};
    uint64_t dice = (seed + 7) * 0xd1342543de82ef95ULL >> 17;

    sim->hello.is_on = dice % 3 == 0;
    for (int i = 0; sim->hello.is_on && i < SIM_HELLO_FAULTS; i++)
        if (sim_roll(sim, 2) == 0)
            sim->hello.odds[i] = sim_roll(sim, max_odds[i] + 1);
}

/* Set another hello for new connections. */
static void set_hello(struct sim *sim)
{
    char methods[JRC_HELLO_MOST][32], why[100];
    jsonrpcc_call calls[JRC_HELLO_MOST];
    struct jrc_hello *hello;
    uint32_t count = sim_roll(sim, 4);

    for (uint32_t i = 0; i < count; i++) {
        bool accepts = sim_roll(sim, 2) == 0;
        int len = sprintf(methods[i], "%shello%u/%u", accepts ? "rpc." : "", i,
                          count);
        calls[i] = (jsonrpcc_call){.size = sizeof calls[i],
                                   .method = methods[i],
                                   .method_len = (size_t)len};
    }
    if (jrc_hello_new(&hello, calls, count, JSONRPCC_HELLO_BY_NAME,
                      &jrc_netstrings, why, sizeof why) != 0)
        abort();
    jrc_engine_set_hello(&sim->engine, hello);
    sim->hello.total = count;
}

void sim_hello_begin(struct sim *sim)
{
    if (!sim->hello.is_on)
        return;
    if (sim_roll(sim, 2) == 0)
        sim->hello.ping_ms = 1000 + sim_roll(sim, 3000);
    sim->engine.options.ping_interval_ms = (int32_t)sim->hello.ping_ms;
    set_hello(sim);
}

void sim_hello_turn(struct sim *sim)
{
    if (sim->hello.is_on && strikes(sim, SIM_HELLO_CHANGED))
        set_hello(sim);
}

/* ---- the servers ---- */

size_t sim_hello_read(struct sim *sim, uint32_t i, const char *payload,
                      uint64_t *id, uint32_t *n)
{
    struct sim_link *link = &sim->links[i];
    const char *rpc = strstr(payload, "\"rpc.hello") != NULL ? "rpc." : "";
    unsigned long long number;
    unsigned total;
    char want[100];

    if (sscanf(payload,
               *rpc != '\0' ? "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":"
                              "\"rpc.hello%u/%u"
                            : "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":"
                              "\"hello%u/%u",
               &number, n, &total) != 3)
        return 0;
    int len = sprintf(want,
                      "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%shello%u/"
                      "%u\"},",
                      number, rpc, *n, total);
    if (strncmp(payload, want, (size_t)len) != 0)
        return 0;
    if (total != link->hello_total)
        sim_fail(sim, "a connection sent an outdated hello");
    *id = number;
    return (size_t)len - 1;
}

void sim_hello_begun(struct sim *sim, uint32_t i, uint32_t n)
{
    const struct sim_link *link = &sim->links[i];
    bool is_ping = link->hello_answered == link->hello_total;

    if (link->hello_refused)
        sim_fail(sim, "a hello went on after it was refused");
    if (n != (is_ping ? 0 : link->hello_answered))
        sim_fail(sim, "a hello's requests were sent in the wrong order");
}

void sim_hello_request(struct sim *sim, uint32_t i, uint64_t id, uint32_t n,
                       bool accepts)
{
    if (strikes(sim, SIM_HELLO_SILENT))
        return;
    sim_schedule(sim,
                 sim_delay(sim) + (strikes(sim, SIM_HELLO_LATE)
                                       ? sim_roll(sim, 3 * SECOND)
                                       : 0),
                 (struct sim_event){.kind = SIM_ON_HELLO,
                                    .server = i,
                                    .serial = sim->links[i].serial,
                                    .token = n * 2 + accepts,
                                    .id = id});
}

static void say(struct sim_link *link, const char *before,
                unsigned long long id, const char *after)
{
    char payload[200], frame[230];
    int len = snprintf(payload, sizeof payload, "%s%llu%s", before, id, after);

    len = snprintf(frame, sizeof frame, "%d:%s,", len, payload);
    sim_server_say(link, frame, (size_t)len);
}

void sim_hello_reply(struct sim *sim, uint32_t i, uint64_t which, uint64_t id)
{
    struct sim_link *link = &sim->links[i];
    bool accepts = which % 2 == 1;

    if (strikes(sim, SIM_HELLO_BROKEN)) {
        link->fin = true;
        return;
    }
    if (strikes(sim, SIM_HELLO_FOREIGN))
        say(link, "{\"id\":", id + 1 + sim_roll(sim, 40), ",\"result\":0}");
    if (strikes(sim, SIM_HELLO_GARBAGE)) {
        say(link, "what is ", id, "?");
        return;
    }
    bool is_bad = strikes(sim, SIM_HELLO_REFUSED);
    if (is_bad && sim_roll(sim, 4) == 0)
        say(link, "{\"id\":", id, "}");
    else if (is_bad)
        say(link, "{\"id\":", id, ",\"error\":{\"code\":-7,\"message\":\"\"}}");
    else
        say(link, "{\"id\":", id, ",\"result\":{\"t\":0,\"k\":0}}");
    if (which / 2 == link->hello_answered &&
        link->hello_answered < link->hello_total) {
        link->hello_refused |= is_bad && !accepts;
        link->hello_answered += !link->hello_refused;
    }
    if (strikes(sim, SIM_HELLO_TWICE))
        say(link, "{\"id\":", id, ",\"error\":{\"code\":1,\"message\":\"\"}}");
}

/* ---- what must hold ---- */

/* Whether a call was in flight on the connection when its ping was sent.  One
 * that came in the same step, from a lost connection, does not count. */
static bool has_calls(const struct sim *sim, uint32_t i)
{
    uint64_t said_us = sim->engine.conns[i].greeting.said_us;

    for (uint32_t n = 0; n < sim->calls.used; n++) {
        const struct jrc_call *call = &sim->calls.slots[n];
        if (call->active != 0 && call->conn == (int32_t)i &&
            call->given_us < said_us &&
            (call->state == JRC_CALL_QUEUED || call->state == JRC_CALL_SENT))
            return true;
    }
    return false;
}

static void check_ping(struct sim *sim, uint32_t i)
{
    const struct sim_link *link = &sim->links[i];
    uint64_t least_us = sim->hello.ping_ms * 900;

    if (sim->hello.ping_ms == 0)
        sim_fail(sim, "a ping was sent although pings are off");
    if (sim->now_us - link->heard_us < least_us || has_calls(sim, i))
        sim_fail(sim, "a ping was sent on a connection that is not idle");
    if (sim->paused)
        sim_fail(sim, "a ping was sent while we did not receive");
    sim->hello.pings++;
}

void sim_hello_check(struct sim *sim)
{
    for (uint32_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++) {
        struct sim_link *link = &sim->links[i];
        enum jrc_server_state state = sim->engine.conns[i].state;
        const struct jrc_greeting *greeting = &sim->engine.conns[i].greeting;
        bool is_up =
            jrc_state_is_connected(state) && state != JRC_SERVER_GREETING;
        if (is_up && link->open &&
            (link->hello_answered < link->hello_total || link->hello_refused))
            sim_fail(sim, "a connection is up before its hello has succeeded");
        if (is_up && greeting->id != 0 && greeting->id != link->ping_id)
            check_ping(sim, i);
        link->ping_id = is_up ? greeting->id : 0;
    }
}

void sim_hello_check_end(struct sim *sim)
{
    for (uint32_t i = 0; i < jrc_engine_conn_count(&sim->engine); i++) {
        struct sim_link *link = &sim->links[i];
        bool is_late = sim->engine.conns[i].state == JRC_SERVER_GREETING &&
                       !sim->paused &&
                       sim->now_us > link->greet_us + TIME_LIMIT_US;
        link->late_turns = is_late ? link->late_turns + 1 : 0;
        if (link->late_turns > LATE_TURNS)
            sim_fail(sim, "a hello outlasted its time limit");
    }
}
