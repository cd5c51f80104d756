#include "engine/rotation.h"

/* Fill ready with the servers in that state from the best group that has
 * any. */
static bool take_rotation(struct jrc_servers *servers,
                          enum jrc_server_state state)
{
    uint32_t best = servers->group_count;

    servers->ready_count = 0;
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        if (server->state != state || server->unproven || server->group > best)
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

bool jrc_rotation_has_up(const struct jrc_servers *servers)
{
    return servers->ready_count > 0 &&
           servers->list[servers->ready[0]].state == JRC_SERVER_UP;
}

/* When a server in doubt is due: sooner, if calls wait for its proof. */
static uint64_t next_trial_us(const struct jrc_servers *servers,
                              const struct jrc_server *server)
{
    uint64_t proof_us =
        server->tried_us == 0 ? 0 : server->tried_us + servers->prove_us;

    if (!server->unproven)
        return server->trial_us;
    return jrc_rotation_has_up(servers) && server->trial_us > proof_us
               ? server->trial_us
               : proof_us;
}

void jrc_rotation_build(struct jrc_servers *servers)
{
    bool is_one_up = take_rotation(servers, JRC_SERVER_UP);
    bool is_awaited = false; /* a proof that should not take long */

    servers->doubted = servers->unproven = 0;
    servers->trial_us = JRC_NEVER;
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        if (!jrc_server_is_doubted(server))
            continue;
        servers->doubted++;
        servers->unproven += server->unproven;
        is_awaited |= server->unproven && server->state == JRC_SERVER_PROVING;
        uint64_t next_us = next_trial_us(servers, server);
        if (next_us < servers->trial_us)
            servers->trial_us = next_us;
    }
    /* A server in doubt is better than none: the last one is never ejected. */
    if (!is_one_up && !take_rotation(servers, JRC_SERVER_PROVING) &&
        !is_awaited)
        take_rotation(servers, JRC_SERVER_SUSPECT);
    if (servers->cursor >= servers->ready_count)
        servers->cursor = 0;
    share_out(servers);
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

/* The server whose trial is due, if it would be preferred when healthy.  If no
 * server is up, any is. */
static int32_t pick_trial(struct jrc_servers *servers, uint64_t now_us,
                          uint64_t end_us)
{
    bool choosy = jrc_rotation_has_up(servers);

    for (size_t i = 0; i < servers->count; i++) {
        struct jrc_server *server = &servers->list[i];
        if (!jrc_server_is_doubted(server) ||
            next_trial_us(servers, server) > now_us)
            continue;
        /* A failed trial costs its call.  Other calls then get cap_us, or else
         * a thread that makes one call at a time would make only trials.  A
         * trial counts as over after trial_time_us, whatever its deadline. */
        if (end_us > now_us + servers->trial_time_us)
            end_us = now_us + servers->trial_time_us;
        server->trial_us =
            (end_us > now_us ? end_us : now_us) + servers->cap_us;
        server->tried_us = now_us;
        jrc_rotation_build(servers);
        if (server->group <= servers->ready_group || !choosy)
            return (int32_t)i;
    }
    return JRC_NO_SERVER;
}

/* The server that is due for a trial, when there is nothing but trials. */
static int32_t peek_trial(const struct jrc_servers *servers, uint64_t now_us)
{
    for (size_t i = 0; i < servers->count; i++) {
        const struct jrc_server *server = &servers->list[i];
        if (!jrc_server_is_doubted(server) ||
            next_trial_us(servers, server) > now_us)
            continue;
        return now_us < servers->choice_us &&
                       better_may_come(servers, server->group)
                   ? JRC_SERVER_PENDING
                   : (int32_t)i;
    }
    return JRC_SERVER_PENDING;
}

int32_t jrc_servers_peek(const struct jrc_servers *servers, uint64_t now_us)
{
    if (servers->ready_count == 0 && servers->unproven > 0)
        return servers->trial_us > now_us ? JRC_SERVER_PENDING
                                          : peek_trial(servers, now_us);
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

uint64_t jrc_servers_peek_us(const struct jrc_servers *servers)
{
    if (servers->ready_count > 0)
        return servers->choice_us;
    if (servers->unproven == 0)
        return JRC_NEVER;
    return servers->trial_us < servers->choice_us &&
                   better_may_come(servers, servers->group_count)
               ? servers->choice_us
               : servers->trial_us;
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
    if (servers->ready_count == 0)
        return JRC_SERVER_PENDING; /* only a trial would do */
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
