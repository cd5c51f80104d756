/* The policy: the states of servers, and when to try one again. */

#include "engine/servers.h"

#include "engine/chance.h"
#include "engine/subset.h"

#include <assert.h>

bool jrc_server_may_move(enum jrc_server_state from, enum jrc_server_state to)
{
    static const bool legal[JRC_SERVER_STATES][JRC_SERVER_STATES] = {
        [JRC_SERVER_DOWN] = {[JRC_SERVER_CONNECTING] = true,
                             [JRC_SERVER_GONE] = true},
        [JRC_SERVER_CONNECTING] = {[JRC_SERVER_DOWN] = true,
                                   [JRC_SERVER_GONE] = true,
                                   [JRC_SERVER_PROVING] = true,
                                   [JRC_SERVER_UP] = true,
                                   [JRC_SERVER_SUSPECT] = true},
        [JRC_SERVER_PROVING] = {[JRC_SERVER_DOWN] = true,
                                [JRC_SERVER_UP] = true,
                                [JRC_SERVER_SUSPECT] = true,
                                [JRC_SERVER_LEAVING] = true},
        [JRC_SERVER_UP] = {[JRC_SERVER_DOWN] = true,
                           [JRC_SERVER_SUSPECT] = true,
                           [JRC_SERVER_LEAVING] = true},
        [JRC_SERVER_SUSPECT] = {[JRC_SERVER_DOWN] = true,
                                [JRC_SERVER_UP] = true,
                                [JRC_SERVER_LEAVING] = true},
        [JRC_SERVER_LEAVING] = {[JRC_SERVER_UP] = true,
                                [JRC_SERVER_SUSPECT] = true,
                                [JRC_SERVER_PROVING] = true,
                                [JRC_SERVER_GONE] = true},
        [JRC_SERVER_GONE] = {[JRC_SERVER_DOWN] = true},
    };

    return legal[from][to];
}

/* The only assignment to a state. */
static void set_state(struct jrc_servers *servers, size_t i,
                      enum jrc_server_state state, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    assert(jrc_server_may_move(server->state, state));
    servers->connecting += state == JRC_SERVER_CONNECTING;
    servers->connecting -= server->state == JRC_SERVER_CONNECTING;
    jrc_subset_note(server, server->state, state, now_us);
    atomic_store_explicit(&server->state, state, memory_order_relaxed);
    atomic_store_explicit(&server->since_us, now_us, memory_order_relaxed);
}

static void change_state(struct jrc_servers *servers, size_t i,
                         enum jrc_server_state state, uint64_t now_us)
{
    set_state(servers, i, state, now_us);
    jrc_subset_update(servers, now_us);
    jrc_rotation_build(servers);
}

void jrc_servers_start(struct jrc_servers *servers, uint64_t base_us,
                       uint64_t cap_us, uint64_t connect_us,
                       int32_t max_attempts, uint64_t now_us)
{
    servers->base_us = base_us;
    servers->cap_us = cap_us;
    servers->trial_time_us = cap_us > connect_us ? cap_us : connect_us;
    servers->max_attempts = max_attempts;
    servers->choice_us = now_us + JRC_FIRST_CHOICE_US;
    for (size_t i = 0; i < servers->count; i++) {
        servers->list[i].next_us = now_us;
        servers->list[i].since_us = servers->list[i].turned_us = now_us;
        servers->list[i].spare = servers->subset.most > 0;
    }
    jrc_subset_rank(servers, now_us);
    jrc_rotation_build(servers);
}

/* ---- the list ---- */

void jrc_servers_join(struct jrc_servers *servers, size_t i, uint64_t at_us,
                      uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    if (server->state == JRC_SERVER_LEAVING) {
        set_state(servers, i, server->before, now_us);
        return;
    }
    server->spare = servers->subset.most > 0;
    server->turned_us = now_us;
    if (server->state == JRC_SERVER_GONE)
        set_state(servers, i, JRC_SERVER_DOWN, now_us);
    atomic_store_explicit(&server->since_us, now_us, memory_order_relaxed);
    server->tried = server->renewing = false;
    server->failures = server->timeouts = 0;
    server->asked_us = 0;
    server->next_us = at_us;
}

void jrc_servers_leave(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    server->group = UINT32_MAX;
    server->tried = true; /* nobody waits for it */
    server->move = JRC_STAYS;
    if (server->spare && server->state == JRC_SERVER_LEAVING) {
        server->spare = false; /* it has left the subset before */
        return;
    }
    server->spare = false;
    server->before = server->state;
    set_state(servers, i,
              jrc_server_is_connected(server) ? JRC_SERVER_LEAVING
                                              : JRC_SERVER_GONE,
              now_us);
}

void jrc_servers_gone(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    set_state(servers, i, JRC_SERVER_GONE, now_us); /* it was in no rotation */
    if (servers->list[i].spare)
        set_state(servers, i, JRC_SERVER_DOWN, now_us); /* the list has it */
}

void jrc_servers_release(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    server->before = server->state;
    server->spare = server->tried = true;
    server->renewing = false;
    server->move = JRC_STAYS;
    server->next_us = JRC_NEVER;
    if (server->state != JRC_SERVER_DOWN)
        set_state(servers, i,
                  jrc_server_is_connected(server) ? JRC_SERVER_LEAVING
                                                  : JRC_SERVER_DOWN,
                  now_us);
}

void jrc_servers_reclaim(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    server->spare = false;
    server->tried = true;
    server->move = JRC_STAYS;
    set_state(servers, i, server->before, now_us);
}

void jrc_servers_regroup(struct jrc_servers *servers)
{
    jrc_rotation_build(servers);
}

/* ---- what happened ---- */

void jrc_servers_attempt(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    change_state(servers, i, JRC_SERVER_CONNECTING, now_us);
}

void jrc_servers_up(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    server->tried = true;
    server->timeouts = 0;
    server->unproven = servers->prove_us > 0 && server->port != 0;
    server->tried_us = 0;
    if (server->renewing) {
        change_state(servers, i, JRC_SERVER_SUSPECT, now_us);
    } else if (server->failures > 0 || server->unproven) {
        server->trial_us = now_us;
        change_state(servers, i, JRC_SERVER_PROVING, now_us);
    } else {
        change_state(servers, i, JRC_SERVER_UP, now_us);
    }
}

/* Who answers a hello need not answer calls: those have made it a suspect, and
 * one of them has to clear it. */
void jrc_servers_greeted(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    server->tried = true;
    server->timeouts = 0;
    server->unproven = false;
    server->tried_us = 0;
    if (server->renewing) {
        server->trial_us = now_us;
        change_state(servers, i, JRC_SERVER_SUSPECT, now_us);
        return;
    }
    server->failures = 0;
    change_state(servers, i, JRC_SERVER_UP, now_us);
}

/* Full jitter: anything from 0 to base * 2^failures, capped.  Spreading the
 * clients of a lost server matters more than any one client's haste. */
static uint64_t backoff(const struct jrc_servers *servers, uint32_t failures,
                        uint32_t dice)
{
    uint64_t bound = servers->base_us;

    for (uint32_t i = 1; i < failures && bound < servers->cap_us; i++)
        bound *= 2;
    if (bound > servers->cap_us)
        bound = servers->cap_us;
    return jrc_chance_part(bound, dice);
}

uint64_t jrc_servers_retry_us(const struct jrc_servers *servers,
                              uint32_t failures, uint64_t now_us, uint32_t dice)
{
    if (servers->max_attempts >= 0 &&
        failures > (uint32_t)servers->max_attempts)
        return JRC_NEVER;
    return now_us + backoff(servers, failures, dice);
}

uint64_t jrc_servers_ask(struct jrc_servers *servers, size_t i, uint64_t now_us,
                         uint32_t dice)
{
    struct jrc_server *server = &servers->list[i];

    if (server->state != JRC_SERVER_DOWN || server->next_us == JRC_NEVER)
        return JRC_NEVER;
    /* If calls keep asking, attempts come at even intervals: the first throw
     * has spread the clients, and another one would make some wait twice as
     * long. */
    if (server->asked_us <= now_us) {
        bool lately =
            server->asked_us > 0 && now_us - server->asked_us < JRC_ASKED_US;
        server->asked_us = lately
                               ? server->asked_us + JRC_ASKED_US
                               : now_us + jrc_chance_part(JRC_ASKED_US, dice);
    }
    if (server->asked_us < server->next_us)
        server->next_us = server->asked_us;
    return server->next_us;
}

void jrc_servers_down(struct jrc_servers *servers, size_t i, uint64_t now_us,
                      uint32_t dice)
{
    struct jrc_server *server = &servers->list[i];

    if (server->state == JRC_SERVER_LEAVING) {
        jrc_servers_gone(servers, i, now_us);
        return;
    }
    server->tried = true;
    server->renewing = false;
    server->failures++;
    server->next_us =
        server->once
            ? JRC_NEVER
            : jrc_servers_retry_us(servers, server->failures, now_us, dice);
    if (server->next_us != JRC_NEVER && server->asked_us > now_us &&
        server->asked_us < server->next_us)
        server->next_us = server->asked_us;
    change_state(servers, i, JRC_SERVER_DOWN, now_us);
}

bool jrc_servers_renew(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    if (server->once || (servers->max_attempts >= 0 &&
                         server->failures >= (uint32_t)servers->max_attempts))
        return false;
    server->failures++;
    server->tried = false;
    server->renewing = server->state == JRC_SERVER_SUSPECT;
    server->next_us = now_us;
    change_state(servers, i, JRC_SERVER_DOWN, now_us);
    return true;
}

bool jrc_servers_answered(struct jrc_servers *servers, size_t i,
                          uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    server->failures = 0;
    server->timeouts = 0;
    server->unproven = false;
    server->before = JRC_SERVER_UP;
    if (!jrc_server_is_doubted(server))
        return false;
    change_state(servers, i, JRC_SERVER_UP, now_us);
    return true;
}

void jrc_servers_tried(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    servers->list[i].trial_us = now_us + servers->cap_us;
    jrc_rotation_build(servers);
}

bool jrc_servers_timed_out(struct jrc_servers *servers, size_t i,
                           uint64_t now_us, bool trial, uint32_t dice)
{
    struct jrc_server *server = &servers->list[i];
    /* A suspect gets only trials: it would take many to reach the number. */
    bool failed = trial && server->state == JRC_SERVER_PROVING &&
                  jrc_rotation_has_up(servers);

    server->timeouts++;
    if (server->state != JRC_SERVER_UP && server->state != JRC_SERVER_PROVING)
        return false;
    if (server->timeouts < JRC_SUSPECT_AFTER && !failed)
        return false;
    if (!failed)
        server->trial_us = now_us + backoff(servers, 1, dice);
    change_state(servers, i, JRC_SERVER_SUSPECT, now_us);
    return true;
}
