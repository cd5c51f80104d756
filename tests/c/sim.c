#define _GNU_SOURCE /* memmem() */

#include "sim_trial.h"

#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000 };

const char *const sim_fault_names[SIM_FAULTS] = {
    "refused", "silent",      "reset",     "fin",     "stall",     "forgotten",
    "short",   "no reply",    "twice",     "late",    "foreign",   "string id",
    "early",   "bad payload", "bad frame", "cut",     "chatter",   "clock",
    "cancel",  "unreadable",  "paused",    "closing", "reentrant", "long",
    "list",    "memory"};

/* ---- dice ---- */

static uint32_t roll_word(struct sim *sim)
{
    sim->state ^= sim->state >> 12;
    sim->state ^= sim->state << 25;
    sim->state ^= sim->state >> 27;
    return (uint32_t)((sim->state * 0x2545f4914f6cdd1dULL) >> 32);
}

uint32_t sim_roll(struct sim *sim, uint32_t sides)
{
    uint32_t value = 0;

    if (sides <= 1)
        return 0;
    if (sim->script_at >= sim->script_len)
        return (uint32_t)((uint64_t)roll_word(sim) * sides >> 32);
    for (uint32_t left = sides - 1;
         left > 0 && sim->script_at < sim->script_len; left >>= 8)
        value = value << 8 | sim->script[sim->script_at++];
    return value % sides;
}

uint64_t sim_delay(struct sim *sim)
{
    return sim_roll(sim, sim->world.span_us + 1);
}

bool sim_strikes(struct sim *sim, enum sim_fault fault)
{
    if (sim->healing || sim->world.odds[fault] == 0 ||
        sim_roll(sim, 1000) >= sim->world.odds[fault])
        return false;
    sim->faults[fault]++;
    return true;
}

/* Swarm testing: each run has only some kinds of faults, so that none can hide
 * behind the others. */
void sim_draw_world(struct sim *sim)
{
    static const uint32_t max_odds[SIM_FAULTS] = {
        [SIM_REFUSED] = 200,   [SIM_SILENT] = 100,      [SIM_RESET] = 30,
        [SIM_FIN] = 30,        [SIM_STALL] = 30,        [SIM_SHORT] = 500,
        [SIM_NO_REPLY] = 300,  [SIM_TWICE] = 200,       [SIM_LATE] = 200,
        [SIM_FOREIGN] = 100,   [SIM_STRING_ID] = 300,   [SIM_EARLY] = 200,
        [SIM_BAD_FRAME] = 30,  [SIM_BAD_PAYLOAD] = 200, [SIM_CUT] = 30,
        [SIM_CHATTER] = 100,   [SIM_CLOCK] = 10,        [SIM_CANCELLED] = 200,
        [SIM_FORGOTTEN] = 30,  [SIM_UNREADABLE] = 300,  [SIM_PAUSED] = 10,
        [SIM_REENTRANT] = 300, [SIM_LONG] = 200,        [SIM_LIST] = 100,
    };
    static const uint32_t spans[] = {10, 1000, 20000, 100000, 400000};
    static const uint32_t chunks[] = {1, 7, 100, 2000, 65536};
    struct sim_world *world = &sim->world;

    for (int i = 0; i < SIM_FAULTS; i++)
        if (sim_roll(sim, 2) == 0)
            world->odds[i] = sim_roll(sim, max_odds[i] + 1);
    world->span_us = spans[sim_roll(sim, 5)];
    world->chunk = chunks[sim_roll(sim, 5)];
    world->window = 1 + sim_roll(sim, sim_roll(sim, 2) == 0 ? 500 : 65536);
    world->remote = sim_roll(sim, 500);
    world->change_us = 50000 + sim_roll(sim, 3 * SECOND);
    world->pace_us = 1 + sim_roll(sim, sim_roll(sim, 2) == 0 ? 1000 : 100000);
    world->memory = sim_roll(sim, 3) == 0 ? sim_roll(sim, 4000) : 0;
    world->calls = 20 + sim_roll(sim, 120);
    world->closes = sim_roll(sim, 3) == 0;
    if (sim_roll(sim, 3) == 0)
        world->record = 1 + sim_roll(sim, sim_roll(sim, 2) == 0 ? 200 : 16384);
    world->proves = sim_roll(sim, 4) == 0;
}

/* ---- records ---- */

void sim_note(struct sim *sim, struct sim_record record)
{
    record.time_us = sim->now_us;
    sim_record(&sim->history, &record);
}

void sim_fail(struct sim *sim, const char *rule)
{
    if (sim->broken == NULL)
        sim->broken = rule;
}

static uint64_t number_after(const char *json, size_t len, const char *name)
{
    const char *at = memmem(json, len, name, strlen(name));
    uint64_t number = 0;

    if (at == NULL)
        return UINT64_MAX;
    for (at += strlen(name); at < json + len && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    return number;
}

void sim_on_outcome(void *arg, const struct jrc_call *call,
                    const jsonrpcc_outcome *outcome)
{
    struct sim *sim = arg;
    uint64_t value = 0;

    if (sim->memory != NULL)
        sim->memory(0, 0);
    if (outcome->status == JSONRPCC_OK || outcome->status == JSONRPCC_EREMOTE) {
        value = outcome->json == NULL
                    ? 0
                    : number_after(outcome->json, outcome->json_len, "k\":");
        if (outcome->json != NULL &&
            number_after(outcome->json, outcome->json_len, "{\"t\":") !=
                call->token)
            sim_fail(sim, "a call got the result of another request");
    } else if (outcome->status == JSONRPCC_EFAILURE) {
        value = sim->servers.ready_count > 0 || sim->servers.unproven > 0;
        if (!sim->all_down && !sim->engine.closing)
            sim_fail(sim, "a call failed before ALL_DOWN was reported");
        if (sim_subset_has_spares(sim) && !sim->engine.closing)
            sim_fail(sim, "a call failed although there are spares");
    }
    if (outcome->room_us + outcome->server_us > outcome->waited_us)
        sim_fail(sim, "waited longer for room and a server than in total");
    sim_list_check_outcome(sim, outcome);
    sim_trial_outcome(sim, call, outcome);
    sim->outcomes[outcome->status]++;
    sim_note(sim, (struct sim_record){
                      .kind = SIM_OUTCOME,
                      .status = (uint8_t)outcome->status,
                      .fate = (uint8_t)outcome->fate,
                      .server = (int16_t)outcome->server,
                      .sends = (uint16_t)outcome->attempts,
                      .token = call->token,
                      .value = value,
                      .waited_us = outcome->waited_us,
                      .answered_us = outcome->answered_us,
                  });
    if (!sim->closing && sim->last_token < 2 * sim->world.calls &&
        sim_strikes(sim, SIM_REENTRANT))
        sim_submit(sim, sim_roll(sim, 2) == 0 ? call->flags : 0, 500, true);
}

void sim_on_event(void *arg, const jsonrpcc_event *event)
{
    struct sim *sim = arg;

    if (event->kind == JSONRPCC_ALL_DOWN || event->kind == JSONRPCC_AVAILABLE) {
        bool down = event->kind == JSONRPCC_ALL_DOWN;
        if (sim->all_down == down)
            sim_fail(sim, "ALL_DOWN or AVAILABLE was reported twice in a row");
        sim->all_down = down;
        for (size_t i = 0; i < sim->servers.count; i++)
            if (down && jrc_server_is_connected(&sim->servers.list[i]) &&
                jrc_server_is_listed(&sim->servers.list[i]))
                sim_fail(sim,
                         "ALL_DOWN was reported while a server is connected");
        if (!down && sim->servers.list[event->server].state != JRC_SERVER_UP)
            sim_fail(sim, "AVAILABLE was reported for a server that is not up");
    }
    if (event->kind == JSONRPCC_SUSPECT &&
        sim->states[event->server] == JRC_SERVER_SUSPECT)
        sim_fail(sim, "a suspect was reported as SUSPECT again");
    if (event->kind == JSONRPCC_SUSPECT)
        sim_trial_suspect(sim, (uint32_t)event->server);
    if (event->kind == JSONRPCC_LOST && event->reason == JSONRPCC_UNRESPONSIVE)
        sim_trial_lost(sim, (uint32_t)event->server);
    if (event->kind == JSONRPCC_TRUSTED) /* even if it is lost at once */
        sim->service[event->server].was_down = false;
    sim->renewals += event->kind == JSONRPCC_RENEWED;
    /* While we do not receive, a server's silence means nothing. */
    if (sim->paused && (event->reason == JSONRPCC_UNRESPONSIVE ||
                        event->reason == JSONRPCC_PING_TIMEOUT))
        sim_fail(sim, "a server was blamed while we did not receive");
}

/* ---- around the engine ---- */

void sim_enter(struct sim *sim)
{
    for (size_t i = 0; i < sim->servers.count; i++)
        sim->states[i] = sim->servers.list[i].state;
    sim_pool_enter(sim);
    if (sim->memory != NULL && !sim->healing && sim->world.memory > 0)
        sim->memory(sim->world.memory, sim->state ^ ++sim->steps);
}

/* Whether a server of a better group is up now, and was when the engine was
 * entered: one that came up in this step may be too late for the call. */
static bool is_better_up(const struct sim *sim, uint32_t group)
{
    for (size_t i = 0; i < sim->servers.count; i++)
        if (sim->states[i] == JRC_SERVER_UP &&
            sim->servers.list[i].state == JRC_SERVER_UP &&
            sim->servers.list[i].group < group)
            return true;
    return false;
}

/* The least time between this call on the connection and the one before.  0:
 * any time, as the connection has proved itself, or no server is up.  (A server
 * that is up may be its own, through another connection.) */
static uint32_t trial_gap_us(const struct sim *sim, uint32_t conn)
{
    const struct jrc_server *list = sim->servers.list;
    const struct sim_link *link = &sim->links[conn];
    bool is_any_up = false;

    for (size_t i = 0; i < sim->servers.count; i++)
        is_any_up |=
            sim->states[i] == JRC_SERVER_UP && list[i].state == JRC_SERVER_UP;
    if (is_any_up && sim->conn_states[conn] == JRC_SERVER_PROVING &&
        sim->engine.conns[conn].state == JRC_SERVER_PROVING)
        return sim->world.proves && sim->world.cap_us < SIM_PROVE_US
                   ? SIM_PROVE_US
                   : sim->world.cap_us;
    /* Staying up with nothing to answer counts, too: a refusal would have come
     * by now. */
    bool proved = link->spoke ||
                  sim->now_us - link->heard_us >= sim_trial_time_us(sim) ||
                  (link->notified_us != 0 &&
                   sim->now_us - link->notified_us >= SIM_PROVE_US);
    return sim->world.proves && !proved ? SIM_PROVE_US : 0;
}

/* The engine has put a call into a connection's output. */
static void note_route(struct sim *sim, const struct jrc_call *call)
{
    uint32_t conn = (uint32_t)call->conn;
    uint32_t server = sim_pool_server(sim, conn);

    if (!jrc_server_is_listed(&sim->servers.list[server]))
        sim_fail(sim, "a call went to a server that has left the list");
    if (sim->servers.list[server].spare)
        sim_fail(sim, "a call went to a spare");
    if (sim->conn_states[conn] == JRC_SERVER_LEAVING &&
        sim->engine.conns[conn].state == JRC_SERVER_LEAVING)
        sim_fail(sim, "a call went to a connection that is leaving");
    sim_note(sim,
             (struct sim_record){
                 .kind = SIM_ROUTED,
                 .server = (int16_t)server,
                 .link = sim->links[conn].serial,
                 .token = call->token,
                 .value = is_better_up(sim, sim->servers.list[server].group),
                 .waited_us = trial_gap_us(sim, conn),
             });
}

void sim_leave(struct sim *sim)
{
    if (sim->memory != NULL)
        sim->memory(0, 0);
    sim_pool_leave(sim);
    sim_subset_leave(sim);
    for (uint32_t i = 0; i < sim->calls.used; i++) {
        const struct jrc_call *call = &sim->calls.slots[i];
        uint64_t route = call->active == 0 || call->state != JRC_CALL_QUEUED
                             ? 0
                             : call->id * 64 + (uint64_t)(call->conn + 1);
        if (route != 0 && route != sim->routes[i])
            note_route(sim, call);
        sim->routes[i] = route;
    }
    sim_hello_check(sim);
}

/* ---- events: a heap ---- */

static bool is_sooner(const struct sim_event *a, const struct sim_event *b)
{
    return a->time_us != b->time_us ? a->time_us < b->time_us
                                    : a->order < b->order;
}

void sim_schedule(struct sim *sim, uint64_t delay_us, struct sim_event event)
{
    size_t i = sim->event_count++;

    if (i == sim->event_room) {
        sim->event_room = i == 0 ? 256 : i * 2;
        sim->events =
            realloc(sim->events, sim->event_room * sizeof *sim->events);
        if (sim->events == NULL)
            abort();
    }
    event.time_us = sim->now_us + delay_us;
    event.order = sim->event_order++;
    for (; i > 0 && is_sooner(&event, &sim->events[(i - 1) / 2]);
         i = (i - 1) / 2)
        sim->events[i] = sim->events[(i - 1) / 2];
    sim->events[i] = event;
}

void sim_schedule_conn(struct sim *sim, uint64_t delay_us,
                       enum sim_event_kind kind, uint32_t i)
{
    sim_schedule(sim, delay_us,
                 (struct sim_event){.kind = kind,
                                    .server = i,
                                    .serial = sim->links[i].serial});
}

struct sim_event sim_take_event(struct sim *sim)
{
    struct sim_event first = sim->events[0];
    struct sim_event last = sim->events[--sim->event_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= sim->event_count)
            break;
        if (child + 1 < sim->event_count &&
            is_sooner(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (!is_sooner(&sim->events[child], &last))
            break;
        sim->events[i] = sim->events[child];
        i = child;
    }
    sim->events[i] = last;
    return first;
}
