/* The application.  Its calls reach the engine as those of the client do. */
#include "sim.h"
#include "wire/netstring.h"
#include "wire/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At most this many calls last an hour: the others need slots. */
enum { MAX_LONG_CALLS = 10 };

/* As client/submit.c: the call is accepted, or leaves nothing behind. */
static jsonrpcc_status enqueue(struct sim *sim, const char *params, size_t len,
                               uint8_t flags, int32_t timeout_ms)
{
    struct jrc_message message;
    struct jrc_fault fault;
    struct jrc_call *call = jrc_calls_new(&sim->calls);

    if (call == NULL)
        return JSONRPCC_EFULL;
    if (!jrc_message_init(&message, "m", 1, params, len, true, &fault)) {
        jrc_calls_undo(&sim->calls, call);
        return JSONRPCC_ENOMEM;
    }
    uint64_t id = (flags & JSONRPCC_NOTIFICATION) != 0 ? 0 : call->id;
    size_t size = jrc_message_frame_size(&message, &jrc_netstrings, id);
    char *space = jrc_frames_space(&sim->pending, size);
    call->token = sim->last_token;
    call->flags = flags;
    call->start_us = call->accepted_us = sim->now_us;
    call->timeout_ms = timeout_ms;
    call->frame_len = (uint32_t)size;
    call->copy = NULL;
    if (space == NULL || ((flags & JSONRPCC_IDEMPOTENT) != 0 &&
                          !jrc_calls_keep(&sim->calls, call, size))) {
        jrc_calls_undo(&sim->calls, call);
        jrc_message_clear(&message);
        return JSONRPCC_ENOMEM;
    }
    jrc_message_write(&message, &jrc_netstrings, id, size, space);
    if (call->copy != NULL) {
        memcpy(call->copy, space, size);
    }
    jrc_frames_added(&sim->pending, call->id, size);
    jrc_message_clear(&message);
    sim->last_id = call->id;
    return JSONRPCC_OK;
}

void sim_submit(struct sim *sim, uint8_t flags, int32_t timeout_ms, bool nested)
{
    uint32_t slow = sim->world.chunk < sim->world.window ? sim->world.chunk
                                                         : sim->world.window;
    size_t pad =
        sim_roll(sim, sim_roll(sim, 16) == 0 && slow > 400 ? 9000 : 40);
    char quote = sim_roll(sim, 4) == 0 ? '\'' : '"';
    char *params = malloc(pad + 64);
    uint64_t token = ++sim->last_token;

    if (params == NULL)
        abort();
    size_t len =
        (size_t)sprintf(params, "[%llu,%c", (unsigned long long)token, quote);
    memset(params + len, 'x', pad);
    len += pad;
    params[len++] = quote;
    params[len++] = ']';
    if (!nested)
        sim_enter(sim);
    jsonrpcc_status status = enqueue(sim, params, len, flags, timeout_ms);
    if (!nested)
        sim_leave(sim);
    free(params);
    uint64_t deadline_us = sim->now_us + (uint64_t)timeout_ms * 1000;
    if (deadline_us > sim->last_deadline_us)
        sim->last_deadline_us = deadline_us;
    sim->submitted += status == JSONRPCC_OK;
    sim_note(sim, (struct sim_record){
                      .kind = status == JSONRPCC_OK ? SIM_SUBMIT : SIM_REFUSE,
                      .flags = flags,
                      .status = (uint8_t)status,
                      .token = token,
                      .value = deadline_us,
                  });
    if (status == JSONRPCC_OK && sim_strikes(sim, SIM_CANCELLED))
        sim_schedule(sim, sim_roll(sim, sim->world.span_us * 3),
                     (struct sim_event){.kind = SIM_ON_CANCEL,
                                        .token = token,
                                        .id = sim->last_id});
}

void sim_submit_some(struct sim *sim)
{
    static const int32_t max_ms[] = {3, 50, 500, 3000};

    for (uint32_t n = 1 + sim_roll(sim, 4); n > 0; n--) {
        uint8_t flags = 0;
        if (sim_roll(sim, 5) == 0)
            flags |= JSONRPCC_NOTIFICATION;
        if (sim_roll(sim, 4) == 0)
            flags |= JSONRPCC_IDEMPOTENT;
        if (sim_roll(sim, 4) == 0)
            flags |= JSONRPCC_WAIT_FOR_READY;
        uint32_t max = (uint32_t)max_ms[sim_roll(sim, 4)];
        if (sim->long_calls < MAX_LONG_CALLS && sim_strikes(sim, SIM_LONG)) {
            sim->long_calls++;
            max = 3600000;
        }
        sim_submit(sim, flags, 1 + (int32_t)sim_roll(sim, max), false);
    }
    if (sim->last_token < sim->world.calls && !sim->closing)
        sim_schedule(sim, sim_roll(sim, sim->world.pace_us * 2),
                     (struct sim_event){.kind = SIM_ON_SUBMIT});
}
