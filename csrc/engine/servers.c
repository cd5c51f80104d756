/* The policy: who gets the next call, and when to try a server again. */

#include "engine/servers.h"

#include <assert.h>

/* Fill ready with the servers in that state from the best group that has
 * any. */
static bool take_rotation(struct jrc_servers *servers,
                          enum jrc_server_state state)
{
    uint32_t best = servers->group_count;

    servers->ready_count = 0;
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        if (server->state != state || server->group > best)
            continue;
        if (server->group < best) {
            best = server->group;
            servers->ready_count = 0;
        }
        servers->ready[servers->ready_count++] = (uint32_t)i;
    }
    servers->ready_group = best;
    return servers->ready_count > 0;
}

static bool is_doubted(const struct jrc_server *server)
{
    return server->state == JRC_SERVER_SUSPECT ||
           server->state == JRC_SERVER_PROVING;
}

static bool have_weights(const struct jrc_servers *servers)
{
    for (size_t n = 1; n < servers->ready_count; n++)
        if (servers->list[servers->ready[n]].weight !=
            servers->list[servers->ready[0]].weight)
            return true;
    return false;
}

/* Weights that are all the same need no heap.  Servers that stay in rotation go
 * on where they are in their period. */
static void share_out(struct jrc_servers *servers)
{
    struct jrc_shares *shares = &servers->shares;

    servers->is_weighted = have_weights(servers);
    if (!servers->is_weighted) {
        shares->count = 0;
        return;
    }
    for (size_t i = 0; i < servers->count; i++)
        servers->list[i].picked = JRC_SHARE_NEW;
    for (size_t n = 0; n < shares->count; n++)
        servers->list[shares->list[n].server].picked = shares->list[n].picked;
    shares->count = servers->ready_count;
    for (size_t n = 0; n < shares->count; n++) {
        const struct jrc_server *server = &servers->list[servers->ready[n]];
        shares->list[n] = (struct jrc_share){servers->ready[n], server->weight,
                                             server->picked};
    }
    jrc_shares_begin(shares);
}

/* Work out again what pick() relies on.  This takes a pass over all servers,
 * but only when one of them changes state. */
static void rebuild(struct jrc_servers *servers)
{
    servers->doubted = 0;
    servers->trial_us = JRC_NEVER;
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        if (!is_doubted(server))
            continue;
        servers->doubted++;
        if (server->trial_us < servers->trial_us)
            servers->trial_us = server->trial_us;
    }
    /* A server in doubt is better than none: the last one is never ejected. */
    if (!take_rotation(servers, JRC_SERVER_UP) &&
        !take_rotation(servers, JRC_SERVER_PROVING))
        take_rotation(servers, JRC_SERVER_SUSPECT);
    if (servers->cursor >= servers->ready_count)
        servers->cursor = 0;
    share_out(servers);
}

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
    atomic_store_explicit(&server->state, state, memory_order_relaxed);
    atomic_store_explicit(&server->since_us, now_us, memory_order_relaxed);
}

static void change_state(struct jrc_servers *servers, size_t i,
                         enum jrc_server_state state, uint64_t now_us)
{
    set_state(servers, i, state, now_us);
    rebuild(servers);
}

void jrc_servers_start(struct jrc_servers *servers, uint64_t base_us,
                       uint64_t cap_us, int32_t max_attempts, uint64_t now_us)
{
    servers->base_us = base_us;
    servers->cap_us = cap_us;
    servers->max_attempts = max_attempts;
    servers->choice_us = now_us + JRC_FIRST_CHOICE_US;
    for (size_t i = 0; i < servers->count; i++) {
        servers->list[i].next_us = now_us;
        servers->list[i].since_us = now_us;
    }
    rebuild(servers);
}

/* Whether a server of a group before this one is in its first attempt. */
static bool better_may_come(const struct jrc_servers *servers, uint32_t group)
{
    if (servers->awaits_names)
        return true;
    for (size_t i = 0; i < servers->count; i++)
        if (!servers->list[i].tried && servers->list[i].group < group)
            return true;
    return false;
}

/* Whether calls have a server that is not in doubt. */
static bool is_somebody_up(const struct jrc_servers *servers)
{
    return servers->ready_count > 0 &&
           servers->list[servers->ready[0]].state == JRC_SERVER_UP;
}

/* The server whose trial is due, if it would be preferred when healthy.  If no
 * server is up, any is. */
static int32_t pick_trial(struct jrc_servers *servers, uint64_t now_us,
                          uint64_t end_us)
{
    bool choosy = is_somebody_up(servers);

    for (size_t i = 0; i < servers->count; i++) {
        struct jrc_server *server = &servers->list[i];
        if (!is_doubted(server) || server->trial_us > now_us)
            continue;
        /* A failed trial costs its call.  Other calls then get cap_us, or else
         * a thread that makes one call at a time would make only trials.  The
         * trial of a call without a deadline counts as over after cap_us. */
        if (end_us > now_us + servers->cap_us)
            end_us = now_us + servers->cap_us;
        server->trial_us =
            (end_us > now_us ? end_us : now_us) + servers->cap_us;
        rebuild(servers);
        if (server->group <= servers->ready_group || !choosy)
            return (int32_t)i;
    }
    return JRC_NO_SERVER;
}

int32_t jrc_servers_peek(const struct jrc_servers *servers, uint64_t now_us)
{
    if (servers->ready_count == 0)
        return better_may_come(servers, servers->group_count)
                   ? JRC_SERVER_PENDING
                   : JRC_NO_SERVER;
    if (now_us < servers->choice_us &&
        better_may_come(servers, servers->ready_group))
        return JRC_SERVER_PENDING;
    return (int32_t)(servers->is_weighted ? servers->shares.list[0].server
                                          : servers->ready[servers->cursor]);
}

bool jrc_servers_trial_due(const struct jrc_servers *servers, uint64_t now_us)
{
    return servers->doubted > 0 && now_us >= servers->trial_us;
}

int32_t jrc_servers_sole(const struct jrc_servers *servers, uint64_t now_us)
{
    return servers->ready_count > 1 || jrc_servers_trial_due(servers, now_us)
               ? JRC_NO_SERVER
               : jrc_servers_peek(servers, now_us);
}

int32_t jrc_servers_pick(struct jrc_servers *servers, uint64_t now_us,
                         uint64_t end_us, bool *trial)
{
    int32_t next = jrc_servers_peek(servers, now_us);

    if (trial != NULL)
        *trial = false;
    if (next < 0)
        return next;
    if (trial != NULL && jrc_servers_trial_due(servers, now_us)) {
        int32_t tried = pick_trial(servers, now_us, end_us);
        *trial = tried >= 0;
        if (*trial)
            return tried;
    }
    if (servers->is_weighted) {
        jrc_shares_pick(&servers->shares, 0);
        return next;
    }
    servers->cursor++;
    if (servers->cursor == servers->ready_count)
        servers->cursor = 0;
    return next;
}

int32_t jrc_servers_pick_other(struct jrc_servers *servers,
                               bool (*is_out)(const void *arg, uint32_t i),
                               const void *arg)
{
    const struct jrc_share *list = servers->shares.list;
    size_t best = servers->shares.count;

    for (size_t n = 0; n < servers->shares.count; n++)
        if (!is_out(arg, list[n].server) &&
            (best == servers->shares.count ||
             jrc_share_is_sooner(&list[n], &list[best])))
            best = n;
    if (best == servers->shares.count)
        return JRC_NO_SERVER;
    int32_t server = (int32_t)list[best].server;
    jrc_shares_pick(&servers->shares, best);
    return server;
}

bool jrc_servers_hopeful(const struct jrc_servers *servers)
{
    if (servers->has_names)
        return true;
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        if (server->state == JRC_SERVER_LEAVING ||
            server->state == JRC_SERVER_GONE)
            continue;
        if (server->state != JRC_SERVER_DOWN || server->next_us != JRC_NEVER)
            return true;
    }
    return false;
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

    server->before = server->state;
    server->group = UINT32_MAX;
    server->tried = true; /* nobody waits for it */
    set_state(servers, i,
              jrc_server_is_connected(server) ? JRC_SERVER_LEAVING
                                              : JRC_SERVER_GONE,
              now_us);
}

void jrc_servers_gone(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    set_state(servers, i, JRC_SERVER_GONE, now_us); /* it was in no rotation */
}

void jrc_servers_regroup(struct jrc_servers *servers)
{
    rebuild(servers);
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
    if (server->renewing) {
        change_state(servers, i, JRC_SERVER_SUSPECT, now_us);
    } else if (server->failures > 0 || servers->all_prove) {
        server->trial_us = now_us;
        change_state(servers, i, JRC_SERVER_PROVING, now_us);
    } else {
        change_state(servers, i, JRC_SERVER_UP, now_us);
    }
}

/* A random share of bound.  Computed in two parts, because the product would
 * overflow for a bound of weeks. */
static uint64_t share(uint64_t bound, uint32_t dice)
{
    return bound / UINT32_MAX * dice + bound % UINT32_MAX * dice / UINT32_MAX;
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
    return share(bound, dice);
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
        server->asked_us = lately ? server->asked_us + JRC_ASKED_US
                                  : now_us + share(JRC_ASKED_US, dice);
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
    if (servers->max_attempts >= 0 &&
        server->failures > (uint32_t)servers->max_attempts)
        server->next_us = JRC_NEVER;
    else
        server->next_us = now_us + backoff(servers, server->failures, dice);
    if (server->next_us != JRC_NEVER && server->asked_us > now_us &&
        server->asked_us < server->next_us)
        server->next_us = server->asked_us;
    change_state(servers, i, JRC_SERVER_DOWN, now_us);
}

bool jrc_servers_renew(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    struct jrc_server *server = &servers->list[i];

    if (servers->max_attempts >= 0 &&
        server->failures >= (uint32_t)servers->max_attempts)
        return false;
    server->failures++;
    server->tried = false;
    server->renewing = true;
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
    server->before = JRC_SERVER_UP;
    if (!is_doubted(server))
        return false;
    change_state(servers, i, JRC_SERVER_UP, now_us);
    return true;
}

void jrc_servers_tried(struct jrc_servers *servers, size_t i, uint64_t now_us)
{
    servers->list[i].trial_us = now_us + servers->cap_us;
    rebuild(servers);
}

bool jrc_servers_timed_out(struct jrc_servers *servers, size_t i,
                           uint64_t now_us, bool trial, uint32_t dice)
{
    struct jrc_server *server = &servers->list[i];
    /* A suspect gets only trials: it would take many to reach the number. */
    bool failed =
        trial && server->state == JRC_SERVER_PROVING && is_somebody_up(servers);

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
