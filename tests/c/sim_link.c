/* The fake sockets, in place of io/traffic.c and the kernel. */
#include "engine/greeting.h"
#include "sim_trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LAST_READS = 64 };  /* as in traffic.c */
enum { RECORD_MORE = 22 }; /* the bytes that TLS adds to a record */

void sim_link_clear(struct sim_link *link)
{
    free(link->up);
    free(link->requests);
    free(link->down);
    memset(link, 0, sizeof *link);
}

static bool is_dropped(const struct sim *sim, uint32_t i)
{
    return (sim->engine.conns[i].todo & JRC_SHUT) != 0;
}

/* ---- from the server ---- */

/* Receive once.  False: out of memory. */
static bool receive(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];
    size_t n = 1 + sim_roll(sim, sim->world.chunk);
    size_t room;

    sim_enter(sim);
    char *space = jrc_engine_space(&sim->engine, i, &room);
    sim_leave(sim);
    if (space == NULL)
        return false;
    if (room == 0)
        sim_fail(sim, "the engine gave no room to receive in");
    if (n > room)
        n = room;
    if (n > link->down_len)
        n = link->down_len;
    link->spoke |= n > 0;
    if (n > 0) {
        memcpy(space, link->down, n);
        link->down_len -= n;
        memmove(link->down, link->down + n, link->down_len);
    }
    link->heard_us = sim->now_us;
    sim_enter(sim);
    jrc_engine_received(&sim->engine, i, n, sim->now_us);
    sim_leave(sim);
    return true;
}

static void deliver_later(struct sim *sim, uint32_t i)
{
    if (sim->links[i].delivering)
        return;
    sim->links[i].delivering = true;
    sim_schedule_conn(sim, sim_delay(sim), SIM_ON_DELIVER, i);
}

static void deliver(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    link->delivering = false;
    if (is_dropped(sim, i) || link->forgotten)
        return;
    link->held = sim->paused;
    if (link->held)
        return;
    if (link->reset) {
        sim_connect_lose(sim, i, ECONNRESET);
        return;
    }
    if (link->down_len > 0 && !receive(sim, i)) {
        sim_connect_lose(sim, i, ENOMEM);
        return;
    }
    if (is_dropped(sim, i))
        return;
    if (link->down_len > 0)
        deliver_later(sim, i);
    else if (link->fin)
        sim_connect_lose(sim, i, JSONRPCC_PEER_CLOSED);
}

/* ---- to the server ---- */

/* A send failed.  Responses that came before are received first. */
static void lose_after_reading(struct sim *sim, uint32_t i)
{
    for (int n = 0; n < LAST_READS && !is_dropped(sim, i); n++)
        if (sim->links[i].down_len == 0 || !receive(sim, i))
            break;
    if (!is_dropped(sim, i))
        sim_connect_lose(sim, i, EPIPE);
}

/* Act as TLS: the len bytes become records, and the kernel takes n bytes of
 * these.  The server cannot read a record before its last byte.  Returns how
 * many of the len bytes it can read now. */
static size_t send_records(struct sim *sim, struct sim_link *link, size_t len,
                           size_t n)
{
    size_t committed = 0;

    while (n > 0) {
        if (link->record == 0) {
            size_t left = len - committed;
            link->record = left < sim->world.record ? left : sim->world.record;
            link->record_left = link->record + RECORD_MORE;
        }
        if (link->record == 0)
            break;
        size_t some = n < link->record_left ? n : link->record_left;
        n -= some;
        link->record_left -= some;
        if (link->record_left > 0)
            break;
        committed += link->record;
        link->record = 0;
    }
    return committed;
}

static void flush(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];
    size_t len;

    sim_enter(sim);
    const char *bytes = jrc_engine_output(&sim->engine, i, &len);
    sim_leave(sim);
    if (len == 0) {
        link->writing = false;
        return;
    }
    if (link->reset) {
        lose_after_reading(sim, i);
        return;
    }
    size_t held = (size_t)(link->given - link->read);
    size_t n = held < sim->world.window ? sim->world.window - held : 0;
    if (n > len && sim->world.record == 0)
        n = len;
    bool is_short = sim_strikes(sim, SIM_SHORT);
    if (is_short)
        n = sim_roll(sim, (uint32_t)n + 1);
    /* With half a record, the server has nothing to read, and will not make
     * room. */
    bool is_part = n > 0 && sim->world.record > 0;
    if (sim->world.record > 0)
        n = send_records(sim, link, len, n);
    sim_witness_take(sim, i, bytes, len, n, link->record);
    sim_enter(sim);
    jrc_engine_sent(&sim->engine, i, n, sim->now_us);
    jrc_engine_begun(&sim->engine, i, link->record);
    sim_leave(sim);
    link->writing = n < len;
    if (n > 0)
        sim_schedule_conn(sim, sim_delay(sim), SIM_ON_READ, i);
    if (is_short || (is_part && n == 0))
        sim_schedule_conn(sim, sim_delay(sim), SIM_ON_WRITABLE, i);
}

static void serve(struct sim *sim, uint32_t i,
                  const struct sim_request *request)
{
    if (request->is_hello)
        sim_hello_request(sim, i, request->id, (uint32_t)request->token,
                          request->accepts);
    else
        sim_server_request(sim, i, request);
}

/* The server reads, and serves the requests that it has read whole. */
static void server_reads(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];
    size_t left = (size_t)(link->given - link->read);
    size_t n = 0;

    if (link->deaf || left == 0)
        return;
    if (sim_strikes(sim, SIM_FORGOTTEN)) {
        link->deaf = link->forgotten = true;
        return;
    }
    if (sim_strikes(sim, SIM_STALL)) {
        link->deaf = true;
        sim_schedule_conn(sim, sim_roll(sim, 6000000), SIM_ON_RECOVER, i);
        return;
    }
    size_t chunk = 1 + sim_roll(sim, sim->world.chunk * 4);
    link->read += chunk < left ? chunk : left;
    while (n < link->request_count && link->requests[n].end <= link->read)
        serve(sim, i, &link->requests[n++]);
    link->request_count -= n;
    if (n > 0)
        memmove(link->requests, link->requests + n,
                link->request_count * sizeof *link->requests);
    if (link->read < link->given)
        sim_schedule_conn(sim, sim_delay(sim), SIM_ON_READ, i);
    else if (link->up_len > 0 && !link->fin && sim_strikes(sim, SIM_EARLY))
        sim_server_early(sim, i);
    if (link->writing)
        sim_schedule_conn(sim, sim_delay(sim), SIM_ON_WRITABLE, i);
    if (link->down_len > 0)
        deliver_later(sim, i);
}

/* ---- actions and events ---- */

static void break_link(struct sim *sim, uint32_t i)
{
    struct sim_link *link = &sim->links[i];

    if (sim->healing)
        return;
    bool reset = sim_roll(sim, 2) == 0;
    sim->faults[reset ? SIM_RESET : SIM_FIN]++;
    link->reset |= reset;
    link->fin |= !reset;
    deliver_later(sim, i);
}

void sim_link_act(struct sim *sim, const struct jrc_action *action)
{
    uint32_t i = action->conn;
    struct sim_link *link = &sim->links[i];

    switch (action->todo) {
    case JRC_OPEN:
        sim_connect_open(sim, i);
        break;
    case JRC_NEXT_ADDRESS:
        sim_connect_next(sim, i, jrc_greeting_reason(&sim->engine, i));
        break;
    case JRC_SHUT:
        sim_connect_shut(sim, i);
        break;
    case JRC_MEASURE:
        sim_enter(sim);
        jrc_engine_held(&sim->engine, i, (size_t)(link->given - link->read),
                        sim->now_us);
        sim_leave(sim);
        break;
    default:
        if (link->open && !link->writing)
            flush(sim, i);
    }
}

void sim_link_event(struct sim *sim, const struct sim_event *event)
{
    uint32_t i = event->server;
    struct sim_link *link = &sim->links[i];

    if (event->serial != link->serial)
        return; /* for a connection that was closed */
    switch (event->kind) {
    case SIM_ON_CONNECT:
        if (sim->engine.conns[i].state == JRC_SERVER_CONNECTING)
            sim_connect_finish(sim, i); /* otherwise it is about to be shut */
        break;
    case SIM_ON_READ:
        server_reads(sim, i);
        break;
    case SIM_ON_DELIVER:
        deliver(sim, i);
        break;
    case SIM_ON_WRITABLE:
        if (link->open && !is_dropped(sim, i))
            flush(sim, i);
        break;
    case SIM_ON_REPLY:
        if (link->fin || link->reset)
            break;
        sim_server_reply(sim, i, event->token, event->id);
        deliver_later(sim, i);
        break;
    case SIM_ON_HELLO:
        if (link->fin || link->reset)
            break;
        sim_hello_reply(sim, i, event->token, event->id);
        deliver_later(sim, i);
        break;
    case SIM_ON_BREAK:
        break_link(sim, i);
        break;
    case SIM_ON_RECOVER:
        link->deaf = false;
        sim_schedule_conn(sim, 0, SIM_ON_READ, i);
        break;
    default:
        break;
    }
}

void sim_link_resume(struct sim *sim, uint32_t i)
{
    sim->links[i].greet_us = sim->links[i].heard_us = sim->now_us;
    sim_trial_resume(sim, i);
    if (sim->links[i].held)
        deliver_later(sim, i);
    sim->links[i].held = false;
}

void sim_link_heal(struct sim *sim, uint32_t i)
{
    sim->links[i].deaf = sim->links[i].forgotten;
    if (sim->links[i].open) {
        sim_schedule_conn(sim, 0, SIM_ON_READ, i);
        sim_schedule_conn(sim, 0, SIM_ON_WRITABLE, i);
    }
}
