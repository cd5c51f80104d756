/* For tests of entries that have to be looked up: the test gives the answers,
 * and time passes only when the test moves now. */
#ifndef DISCOVERY_CHECK_H
#define DISCOVERY_CHECK_H

#include "check.h"
#include "engine/discovered.h"
#include "engine/servers.h"
#include "engine/servers_parse.h"

#include <string.h>

#define S UINT64_C(1000000)

static struct jrc_discovery d;
static uint64_t now;

static inline void set(const char *text)
{
    struct jrc_server_list list;
    char why[200];

    if (!CHECK(jrc_servers_parse(&list, text, why, sizeof why) == 0))
        printf("  %s\n", why);
    CHECK(jrc_discovery_set(&d, &list, now) && list.entries == NULL);
}

static inline void start(const char *text)
{
    memset(&d, 0, sizeof d);
    d.refresh_us = 30 * S;
    d.min_us = 1 * S;
    d.srv_us = 5 * S;
    d.patience_us = 1 * S;
    d.max = 8;
    d.seed = 1;
    now = 1000 * S;
    set(text);
}

static inline void finish(void)
{
    jrc_discovery_clear(&d);
}

/* An answer from "10.0.0.1:80 10.0.0.2:80" or, as SRV records, from
 * "host:port/priority,weight". */
static inline struct jrc_answer found(const char *text, uint32_t ttl_s)
{
    struct jrc_answer answer = {.kind = JRC_ANSWER_FOUND, .ttl_s = ttl_s};
    char host[64];
    unsigned port, priority, weight;
    int used;

    while (*text != '\0') {
        priority = weight = 0;
        if (sscanf(text, "%63[^:]:%u%n", host, &port, &used) < 2)
            break;
        text += used;
        if (*text == '/') {
            sscanf(text, "/%u,%u%n", &priority, &weight, &used);
            text += used;
        }
        CHECK(jrc_answer_add(&answer, host, (uint16_t)port, (uint16_t)priority,
                             (uint16_t)weight));
        text += strspn(text, " ");
    }
    return answer;
}

/* Answer the lookup that is due now. */
static inline bool answer(struct jrc_answer a, uint32_t dice)
{
    struct jrc_name *name = jrc_discovery_due(&d, now);

    if (!CHECK(name != NULL)) {
        jrc_answer_clear(&a);
        return false;
    }
    bool changes = jrc_discovery_answer(&d, name, &a, now, dice);
    CHECK(a.targets == NULL && a.count == 0);
    return changes;
}

static inline bool answer_none(uint32_t dice)
{
    return answer((struct jrc_answer){.kind = JRC_ANSWER_NONE, .reason = -7},
                  dice);
}

static inline bool answer_failed(uint32_t dice)
{
    return answer((struct jrc_answer){.kind = JRC_ANSWER_FAILED, .reason = -8},
                  dice);
}

/* Move now to the next lookup, and return how far that is. */
static inline uint64_t wait_for_next(void)
{
    uint64_t next = jrc_discovery_next_us(&d, now);

    CHECK(next != JRC_NEVER && next >= now);
    CHECK(next == now || jrc_discovery_due(&d, next - 1) == NULL);
    uint64_t took = next - now;
    now = next;
    return took;
}

/* The list as "host:port host:port", or with groups as "host:port=group". */
static inline const char *list_text(bool with_groups)
{
    static char text[2000];
    struct jrc_server_list list;
    size_t left_out, at = 0;

    text[0] = '\0';
    CHECK(jrc_discovery_list(&d, &list, &left_out));
    for (size_t i = 0; i < list.count; i++) {
        const struct jrc_entry *e = &list.entries[i];
        at += (size_t)sprintf(text + at, "%s%s:%u", i > 0 ? " " : "", e->host,
                              (unsigned)e->port);
        if (with_groups)
            at += (size_t)sprintf(text + at, "=%u", e->group);
    }
    jrc_server_list_clear(&list);
    return text;
}

/* Groups are compared if want has any. */
static inline void check_list(const char *want)
{
    const char *text = list_text(strchr(want, '=') != NULL);

    if (!CHECK(strcmp(text, want) == 0))
        printf("  %s\n", text);
}

#endif
