/* One run: the loop around the engine, and what must hold when
 * the faults are gone. */
#include "engine/servers_set.h"
#include "rig.h"
#include "sim.h"
#include "wire/netstring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000, LINGER_US = SECOND, HEAL_US = 30 * SECOND };

/* More steps than this, or so many without the time moving: it hangs. */
enum { MOST_STEPS = 100000, MOST_IDLE = 2000 };

static void handle(struct sim *sim, const struct sim_event *event)
{
    switch (event->kind) {
    case SIM_ON_SUBMIT:
        if (!sim->closing)
            sim_submit_some(sim);
        break;
    case SIM_ON_CANCEL:
        sim_note(sim, (struct sim_record){.kind = SIM_CANCEL,
                                          .token = event->token});
        jrc_calls_cancel(&sim->calls, event->id);
        break;
    case SIM_ON_CLOSE:
        sim->closing = true;
        break;
    case SIM_ON_RESUME:
        sim->pauses = false;
        break;
    case SIM_ON_MOOD:
        if (sim->healing)
            break;
        sim->moods[event->server] = (enum sim_mood)sim_roll(sim, SIM_MOODS);
        sim_at(sim, sim_roll(sim, sim->world.change_us * 2),
               (struct sim_event){
                   .kind = SIM_ON_MOOD,
                   .server = sim_roll(sim, (uint32_t)sim->servers.count)});
        break;
    default:
        sim_link_event(sim, event);
    }
}

/* ---- the loop
 * ------------------------------------------------------------------ */

static void begin_close(struct sim *sim)
{
    sim->close_us = sim->now_us + LINGER_US;
    sim_note(sim,
             (struct sim_record){.kind = SIM_CLOSE, .value = sim->close_us});
    sim_enter(sim);
    jrc_engine_close(&sim->engine, sim->now_us, LINGER_US);
    sim_leave(sim);
}

static void set_paused(struct sim *sim, bool paused)
{
    if (paused == sim->paused)
        return;
    sim->paused = paused;
    sim_enter(sim);
    jrc_engine_set_reading(&sim->engine, !paused, sim->now_us);
    sim_leave(sim);
    for (uint32_t i = 0; !paused && i < sim->servers.count; i++)
        sim_link_resume(sim, i);
}

/* As iteration.c does it. */
static void work(struct sim *sim)
{
    struct jrc_action action;
    uint64_t id;

    if (!sim->closing && sim_strikes(sim, SIM_LIST))
        sim_list_change(sim);
    if (!jrc_frames_empty(&sim->pending)) {
        struct jrc_frames taken = sim->pending;
        sim->pending = (struct jrc_frames){0};
        sim_enter(sim);
        jrc_engine_submit(&sim->engine, &taken, sim->now_us);
        sim_leave(sim);
        jrc_frames_clear(&taken);
    }
    while ((id = jrc_calls_cancelled(&sim->calls)) != 0) {
        sim_enter(sim);
        jrc_engine_cancel(&sim->engine, id, sim->now_us);
        sim_leave(sim);
    }
    if (sim->closing && sim->close_us == 0)
        begin_close(sim);
    sim_enter(sim);
    jrc_engine_tick(&sim->engine, sim->now_us);
    sim_leave(sim);
    sim_note(sim, (struct sim_record){.kind = SIM_TICK});
    set_paused(sim, sim->pauses);
    while (jrc_engine_next(&sim->engine, &action))
        sim_link_act(sim, &action);
    jrc_calls_reclaim(&sim->calls);
    sim_list_check(sim);
    if (!rig_sound(&sim->engine))
        sim_break(sim, "the engine's books are wrong");
    if (sim->close_us != 0 && !sim->closed &&
        jrc_engine_finished(&sim->engine)) {
        sim->closed = true;
        sim_note(sim, (struct sim_record){.kind = SIM_CLOSED});
    }
}

/* One turn, at the next time that anything is due.  False: nothing is. */
static bool turn(struct sim *sim, uint64_t until_us)
{
    uint64_t next_us = jrc_engine_next_us(&sim->engine);

    if (sim->event_count > 0 && sim->events[0].time_us < next_us)
        next_us = sim->events[0].time_us;
    if (!jrc_frames_empty(&sim->pending))
        next_us = sim->now_us;
    if (next_us > until_us) {
        if (sim->now_us < until_us)
            sim->now_us = until_us;
        return false;
    }
    if (next_us > sim->now_us)
        sim->now_us = next_us;
    if (sim_strikes(sim, SIM_CLOCK))
        sim->now_us += sim_roll(sim, 4 * SECOND);
    if (!sim->pauses && sim_strikes(sim, SIM_PAUSED)) {
        sim->pauses = true;
        sim_at(sim, sim_roll(sim, 20 * SECOND),
               (struct sim_event){.kind = SIM_ON_RESUME});
    }
    for (int n = 0;
         n < 8 && sim->event_count > 0 && sim->events[0].time_us <= sim->now_us;
         n++) {
        struct sim_event event = sim_take_event(sim);
        handle(sim, &event);
    }
    work(sim);
    return true;
}

static void run_until(struct sim *sim, uint64_t until_us)
{
    uint64_t was_us = 0;
    unsigned idle = 0;

    for (unsigned n = 0; sim->broken == NULL && turn(sim, until_us); n++) {
        idle = sim->now_us == was_us ? idle + 1 : 0;
        was_us = sim->now_us;
        if (n > MOST_STEPS || idle > MOST_IDLE)
            sim_break(sim, "it does not come to rest");
    }
}

/* ---- one run
 * ----------------------------------------------------------------------- */

static void set_up(struct sim *sim)
{
    sim->leave_ms = 100 + sim_roll(sim, 20000);
    const jsonrpcc_options options = {
        .max_depth = 8,
        .max_response = 1 << 17,
        .connect_timeout_ms = 1000,
        .leave_timeout_ms = (int32_t)sim->leave_ms,
    };
    const struct jrc_sink sink = {sim, sim_on_outcome, sim_on_event};

    sim->now_us = 1000 + sim_roll(sim, SECOND);
    sim_list_begin(sim);
    if (!jrc_calls_init(&sim->calls, SIM_CAPACITY) ||
        !jrc_engine_init(&sim->engine, &sim->servers, &sim->calls,
                         &jrc_netstrings, &options, &sink,
                         sim_roll(sim, UINT32_MAX)))
        abort();
    int32_t attempts = sim_roll(sim, 8) == 0 ? (int32_t)sim_roll(sim, 4) : -1;
    jrc_servers_start(&sim->servers, 1000 + sim_roll(sim, SECOND), 10 * SECOND,
                      attempts, sim->now_us);
    sim_draw_world(sim);
    sim_at(sim, sim_roll(sim, 100000),
           (struct sim_event){.kind = SIM_ON_SUBMIT});
    if (sim_roll(sim, 2) == 0)
        sim_at(sim, sim_roll(sim, sim->world.change_us),
               (struct sim_event){.kind = SIM_ON_MOOD});
    if (sim->world.closes)
        sim_at(sim, sim_roll(sim, sim->world.calls * sim->world.pace_us * 2),
               (struct sim_event){.kind = SIM_ON_CLOSE});
}

static void heal(struct sim *sim)
{
    sim->healing = true;
    sim->pauses = false;
    sim->world.span_us = 1000;
    sim->world.chunk = 65536;
    sim->world.window = 1 << 20;
    sim->world.remote = 0;
    for (uint32_t i = 0; i < sim->servers.count; i++)
        sim_link_heal(sim, i);
}

/* Whether a connection is dead for good: that takes longer to find out. */
static bool is_forgotten(const struct sim *sim)
{
    for (size_t i = 0; i < sim->servers.count; i++)
        if (sim->links[i].forgotten)
            return true;
    return false;
}

/* Whether a call that was sent before its server fell silent keeps a dead
 * connection: it may be what the server is busy with. */
static bool is_kept(const struct sim *sim)
{
    for (size_t i = 0; i < sim->servers.count; i++) {
        const struct jrc_call_list *sent = &sim->engine.conns[i].sent;
        if (sim->links[i].forgotten && sent->count > 0 &&
            (sim->calls.slots[sent->first].role & JRC_ELDER) != 0)
            return true;
    }
    return false;
}

/* Call now and then, until all of these calls have ended.  Returns when a dead
 * connection was last kept; 0: never. */
static uint64_t keep_calling(struct sim *sim, uint64_t end_us)
{
    uint64_t kept_us = 0;

    for (; sim->now_us < end_us && !sim->closing && sim->broken == NULL;) {
        sim_submit(sim, JSONRPCC_WAIT_FOR_READY, 2000, false);
        work(sim);
        run_until(sim, sim->now_us + SECOND / 2);
        if (is_kept(sim))
            kept_us = sim->now_us;
    }
    run_until(sim, end_us + 5 * SECOND);
    return kept_us;
}

/* With the faults gone all must end well, and a new call must succeed. */
static void check_liveness(struct sim *sim)
{
    sim_list_await(sim, run_until);
    bool hopeful;
    uint64_t kept_us = keep_calling(
        sim, sim->now_us + HEAL_US * (is_forgotten(sim) ? 2U : 1U));

    /* The call that kept a dead connection has just ended: healing begins only
     * then. */
    if (kept_us + HEAL_US > sim->now_us && !is_kept(sim))
        keep_calling(sim, kept_us + HEAL_US);
    sim_list_check_end(sim);
    hopeful = !is_kept(sim) && jrc_servers_hopeful(&sim->servers) &&
              (sim->servers.max_attempts < 0 || !is_forgotten(sim));
    if (!sim->closing && sim->broken == NULL) {
        sim_submit(sim, 0, 2000, false);
        work(sim);
        run_until(sim, sim->now_us + 3 * SECOND);
        const struct sim_record *last = NULL;
        for (size_t i = 0; i < sim->history.count; i++)
            if (sim->history.list[i].kind == SIM_OUTCOME &&
                sim->history.list[i].token == sim->last_token)
                last = &sim->history.list[i];
        if (last == NULL)
            sim_break(sim, "the last call has no outcome");
        else if (hopeful && last->status != JSONRPCC_OK)
            sim_break(sim, "it does not work again");
        else if (hopeful && sim->servers.max_attempts < 0 &&
                 sim->servers.list[last->server].group != 0)
            sim_break(sim, "calls do not come back to the best servers");
    }
    if (sim->last_deadline_us > sim->now_us && sim->broken == NULL)
        run_until(sim, sim->last_deadline_us + 1);
    if (sim->closing && !sim->closed)
        sim_break(sim, "close does not end");
    if (sim->calls.live != 0 || sim->calls.kept_bytes != 0 ||
        sim->engine.held_bytes != 0)
        sim_break(sim, "something is kept of calls that have ended");
}

static const char *run(struct sim *sim, size_t *at)
{
    set_up(sim);
    uint64_t end_us = sim->now_us +
                      (uint64_t)sim->world.calls * sim->world.pace_us +
                      sim_roll(sim, 3 * SECOND);
    if (sim->script != NULL)
        while (sim->broken == NULL && sim->script_at < sim->script_len &&
               turn(sim, end_us))
            continue;
    else
        run_until(sim, end_us);
    heal(sim);
    check_liveness(sim);
    const char *rule = sim_check(&sim->history, at);
    return rule != NULL ? rule : sim->broken;
}

const char *sim_run(struct sim *sim, uint64_t seed, size_t *at)
{
    sim->state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
    for (int i = 0; i < 8; i++)
        sim_roll(sim, 2);
    return run(sim, at);
}

const char *sim_run_script(struct sim *sim, const uint8_t *script, size_t len,
                           size_t *at)
{
    sim->state = 1;
    sim->script = script;
    sim->script_len = len;
    return run(sim, at);
}

void sim_clear(struct sim *sim)
{
    for (int i = 0; i < SIM_SERVERS; i++)
        sim_link_clear(&sim->links[i]);
    jrc_engine_clear(&sim->engine);
    jrc_calls_clear(&sim->calls);
    jrc_frames_clear(&sim->pending);
    jrc_servers_clear(&sim->servers);
    sim_history_clear(&sim->history);
    free(sim->events);
    sim->events = NULL;
}
