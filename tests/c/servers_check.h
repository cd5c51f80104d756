/* For tests of the policy: the clock and the dice are arguments, so all of this
 * is arithmetic. */
#ifndef SERVERS_CHECK_H
#define SERVERS_CHECK_H

#include "check.h"
#include "table_of.h"

#define BASE 1000000
#define CAP 10000000
#define MOST UINT32_MAX /* the dice's largest throw */

static inline void start(struct jrc_servers *s, const char *text,
                         int32_t attempts)
{
    CHECK(table_of(s, text, 64));
    jrc_servers_start(s, BASE, CAP, BASE, attempts, 0);
}

/* By an attempt, if none is under way. */
static inline void come_up(struct jrc_servers *s, size_t i, uint64_t now_us)
{
    if (s->list[i].state == JRC_SERVER_DOWN)
        jrc_servers_attempt(s, i, now_us);
    jrc_servers_up(s, i, now_us);
}

static inline void go_down(struct jrc_servers *s, size_t i, uint64_t now_us,
                           uint32_t dice)
{
    if (s->list[i].state == JRC_SERVER_DOWN)
        jrc_servers_attempt(s, i, now_us);
    jrc_servers_down(s, i, now_us, dice);
}

static inline int32_t pick(struct jrc_servers *s, uint64_t now_us)
{
    int32_t sole = jrc_servers_sole(s, now_us);
    bool trial;
    int32_t picked = jrc_servers_pick(s, now_us, now_us, &trial);

    CHECK(sole == (s->ready_count > 1 || trial ? JRC_NO_SERVER : picked));
    return picked;
}

/* How many servers are not spares. */
static inline uint32_t used(const struct jrc_servers *s)
{
    uint32_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += jrc_server_is_listed(&s->list[i]) && !s->list[i].spare;
    return n;
}

#endif
