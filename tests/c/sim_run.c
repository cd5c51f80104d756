/* One run, and the loop that drives the engine. */
#include "engine/servers_set.h"
#include "rig.h"
#include "sim_trial.h"
#include "wire/netstring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000, LINGER_US = SECOND };

/* A run hangs if it takes more turns than this (and one more per 2 us), or so
 * many while the clock stands still. */
enum { MAX_STEPS = 1000000, MAX_IDLE_STEPS = 2000 };

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
    case SIM_ON_LOOKUP:
        sim_names_answer(sim, event);
        break;
    case SIM_ON_ZONE:
        if (!sim->healing)
            sim_names_change(sim);
        break;
    case SIM_ON_MOOD:
        if (sim->healing)
            break;
        sim->moods[event->server] = (enum sim_mood)sim_roll(sim, SIM_MOODS);
        sim_schedule(
            sim, sim_roll(sim, sim->world.change_us * 2),
            (struct sim_event){
                .kind = SIM_ON_MOOD,
                .server = sim_roll(sim, (uint32_t)sim->servers.count)});
        break;
    default:
        sim_link_event(sim, event);
    }
}

/* ---- the loop ---- */

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
    for (uint32_t i = 0; !paused && i < jrc_engine_conn_count(&sim->engine);
         i++)
        sim_link_resume(sim, i);
}

/* As client/iteration.c does it. */
void sim_work(struct sim *sim)
{
    struct jrc_action action;
    uint64_t id;

    if (!sim->closing && sim_strikes(sim, SIM_LIST))
        sim_list_change(sim);
    sim_hello_turn(sim);
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
    sim_names_look_up(sim);
    sim_names_check(sim);
    jrc_calls_reclaim(&sim->calls);
    sim_list_check(sim);
    sim_subset_check(sim);
    sim_hello_check_end(sim);
    if (!rig_sound(&sim->engine))
        sim_fail(sim, "the engine's bookkeeping is inconsistent");
    if (sim->close_us != 0 && !sim->closed &&
        jrc_engine_finished(&sim->engine)) {
        sim->closed = true;
        sim_note(sim, (struct sim_record){.kind = SIM_CLOSED});
    }
}

/* One turn, at the next time when something is due.  False: nothing is due
 * until then. */
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
        sim_schedule(sim, sim_roll(sim, 20 * SECOND),
                     (struct sim_event){.kind = SIM_ON_RESUME});
    }
    for (int n = 0;
         n < 8 && sim->event_count > 0 && sim->events[0].time_us <= sim->now_us;
         n++) {
        struct sim_event event = sim_take_event(sim);
        handle(sim, &event);
    }
    sim_work(sim);
    return true;
}

void sim_run_until(struct sim *sim, uint64_t until_us)
{
    uint64_t begun_us = sim->now_us, was_us = 0;
    unsigned idle = 0;

    for (unsigned n = 0; sim->broken == NULL && turn(sim, until_us); n++) {
        idle = sim->now_us == was_us ? idle + 1 : 0;
        was_us = sim->now_us;
        if (n > MAX_STEPS + (sim->now_us - begun_us) / 2 ||
            idle > MAX_IDLE_STEPS)
            sim_fail(sim, "the loop never comes to rest");
    }
}

/* ---- one run ---- */

static void set_up(struct sim *sim)
{
    sim->leave_ms = 100 + sim_roll(sim, 20000);
    const jsonrpcc_options options = {
        .max_depth = 8,
        .max_response = 1 << 17,
        .connect_timeout_ms = SIM_CONNECT_MS,
        .leave_timeout_ms = (int32_t)sim->leave_ms,
        .connections =
            1 + (sim_roll(sim, 2) == 0 ? (int32_t)sim_roll(sim, 3) : 0),
        .max_connection_age_ms =
            sim_roll(sim, 3) == 0 ? 1000 + (int32_t)sim_roll(sim, 9000) : 0,
        .subset = sim->subset,
        .dns_refresh_ms = (int32_t)sim->names.refresh_ms,
        .dns_min_ms = (int32_t)sim->names.min_ms,
        .min_srv_ttl_ms = (int32_t)sim->names.srv_ms,
        .max_servers = sim->names.max,
    };
    const struct jrc_sink sink = {sim, sim_on_outcome, sim_on_event};

    sim->now_us = 1000 + sim_roll(sim, SECOND);
    sim_list_begin(sim);
    if (!jrc_calls_init(&sim->calls, SIM_CAPACITY) ||
        !jrc_engine_init(&sim->engine, &sim->servers, &sim->calls,
                         &jrc_netstrings, &options, &sink,
                         sim_roll(sim, UINT32_MAX)))
        abort();
    sim_list_expand(sim);
    int32_t attempts = sim_roll(sim, 8) == 0 ? (int32_t)sim_roll(sim, 4) : -1;
    uint64_t base_us = 1000 + sim_roll(sim, SECOND);
    jrc_servers_start(&sim->servers,
                      base_us < sim->world.cap_us ? base_us : sim->world.cap_us,
                      sim->world.cap_us, SIM_CONNECT_MS * 1000, attempts,
                      sim->now_us);
    sim_draw_world(sim);
    if (sim->names.is_on)
        sim->world.memory = 0; /* the checker could not tell what was lost */
    sim_names_begin(sim);
    sim->servers.prove_us = sim->world.proves ? SIM_PROVE_US : 0;
    sim_hello_begin(sim);
    sim_schedule(sim, sim_roll(sim, 100000),
                 (struct sim_event){.kind = SIM_ON_SUBMIT});
    if (sim_roll(sim, 2) == 0)
        sim_schedule(sim, sim_roll(sim, sim->world.change_us),
                     (struct sim_event){.kind = SIM_ON_MOOD});
    if (sim->world.closes)
        sim_schedule(sim,
                     sim_roll(sim, sim->world.calls * sim->world.pace_us * 2),
                     (struct sim_event){.kind = SIM_ON_CLOSE});
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
        sim_run_until(sim, end_us);
    sim_heal(sim);
    sim_heal_check(sim);
    const char *rule = sim_check(&sim->history, at);
    if (rule == NULL)
        rule = sim_check_names(&sim->history, at);
    return sim->broken != NULL ? sim->broken : rule;
}

const char *sim_run(struct sim *sim, uint64_t seed, size_t *at)
{
    sim->state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
    for (int i = 0; i < 8; i++)
        sim_roll(sim, 2);
    sim_hello_draw(sim, seed);
    sim_subset_draw(sim, seed);
    sim_names_draw(sim, seed);
    sim_trial_draw(sim, seed);
    return run(sim, at);
}

const char *sim_run_script(struct sim *sim, const uint8_t *script, size_t len,
                           size_t *at)
{
    sim->state = 1;
    sim->script = script;
    sim->script_len = len;
    sim_hello_draw(sim, len);
    sim_subset_draw(sim, len);
    sim_names_draw(sim, len);
    sim_trial_draw(sim, len);
    return run(sim, at);
}

void sim_clear(struct sim *sim)
{
    for (int i = 0; i < SIM_CONNS; i++)
        sim_link_clear(&sim->links[i]);
    jrc_engine_clear(&sim->engine);
    jrc_calls_clear(&sim->calls);
    jrc_frames_clear(&sim->pending);
    jrc_servers_clear(&sim->servers);
    sim_history_clear(&sim->history);
    free(sim->events);
    sim->events = NULL;
}
