#include "sim_check.h"

#include "jsonrpcc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_record(struct sim_history *history, const struct sim_record *record)
{
    if (history->count == history->room) {
        history->room = history->room == 0 ? 1024 : history->room * 2;
        history->list =
            realloc(history->list, history->room * sizeof *history->list);
        if (history->list == NULL)
            abort();
    }
    history->list[history->count++] = *record;
}

void sim_history_clear(struct sim_history *history)
{
    free(history->list);
    memset(history, 0, sizeof *history);
}

uint64_t sim_history_hash(const struct sim_history *history)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < history->count; i++) {
        const struct sim_record *r = &history->list[i];
        const uint64_t parts[] = {
            r->kind | (uint64_t)r->flags << 8 | (uint64_t)r->status << 16 |
                (uint64_t)r->fate << 24 | (uint64_t)(uint16_t)r->server << 32 |
                (uint64_t)r->sends << 48,
            r->link,
            r->token,
            r->time_us,
            r->value,
            r->waited_us,
            r->answered_us};
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
            hash = (hash ^ parts[k]) * 0x100000001b3 ^ hash >> 29;
    }
    return hash;
}

/* ---- what is known of a call ---- */

/* Repeated replies can add up before the first of them arrives. */
enum { LINKS = 4, REPLIES = 64 };

struct call {
    bool accepted, cancelled, ended, begun;
    uint8_t flags, fate;
    unsigned given;
    uint64_t start_us, deadline_us, given_us, ended_us;
    uint32_t links[LINKS]; /* on which its first byte was sent */
    unsigned link_count;
    struct {
        uint32_t link;
        uint8_t status;
        uint64_t value;
    } replies[REPLIES]; /* the latest */
    unsigned reply_count;
};

struct checker {
    struct call *calls;
    uint64_t token_room; /* all tokens are below this */
    uint64_t *live;      /* tokens of calls without an outcome so far */
    size_t live_count;
    bool *lost;         /* by link */
    uint64_t *tried_us; /* by link: when it last got a trial */
    uint32_t link_room;
    bool closing, closed;
    uint64_t time_us;
};

static bool reached(const struct call *call, uint32_t link)
{
    for (unsigned i = 0; i < call->link_count && i < LINKS; i++)
        if (call->links[i] == link)
            return true;
    return call->link_count > LINKS;
}

static void note_link(struct call *call, uint32_t link)
{
    if (!reached(call, link)) {
        if (call->link_count < LINKS)
            call->links[call->link_count] = link;
        call->link_count++;
    }
}

static bool is_answer(uint8_t status)
{
    return status == JSONRPCC_OK || status == JSONRPCC_EREMOTE ||
           status == JSONRPCC_EINVALID;
}

/* ---- the rules ---- */

static const char *check_answer(const struct checker *c,
                                const struct call *call,
                                const struct sim_record *r)
{
    const char *rule = "no server sent this answer to this request";

    if (r->fate != JSONRPCC_ANSWERED)
        return "the call was answered, but its fate is not ANSWERED";
    for (unsigned i = 0; i < call->reply_count && i < REPLIES; i++) {
        if (call->replies[i].status != r->status ||
            (r->status != JSONRPCC_EINVALID &&
             call->replies[i].value != r->value))
            continue;
        if (!reached(call, call->replies[i].link))
            continue;
        if (!c->lost[call->replies[i].link])
            return NULL;
        rule = "the answer came from a connection that was closed";
    }
    return rule;
}

static const char *check_failure(const struct checker *c,
                                 const struct call *call,
                                 const struct sim_record *r)
{
    switch (r->status) {
    case JSONRPCC_ETIMEDOUT:
        return r->time_us < call->deadline_us
                   ? "the call timed out before its deadline"
                   : NULL;
    case JSONRPCC_ECANCELLED:
        return call->cancelled
                   ? NULL
                   : "the call was cancelled, but nobody cancelled it";
    case JSONRPCC_ECLOSED:
        return c->closing ? NULL
                          : "the call ended with ECLOSED, but nobody closed";
    case JSONRPCC_EFAILURE:
        return r->value != 0 ? "the call failed while a server was up" : NULL;
    case JSONRPCC_ECONNLOST:
        return call->given == 0
                   ? "the call ended with ECONNLOST, but was not sent"
                   : NULL;
    case JSONRPCC_ENOMEM:
        return NULL;
    default:
        return "the call ended with a status that no outcome has";
    }
}

/* waited_us is the time until the call was sent, answered_us the time from then
 * until the answer. */
static const char *check_times(const struct call *call,
                               const struct sim_record *r)
{
    uint64_t elapsed_us = r->time_us - call->start_us;

    if (r->waited_us + r->answered_us > elapsed_us)
        return "waited_us + answered_us is more than the whole time";
    if (call->given == 0 && r->waited_us != elapsed_us)
        return "the call was not sent, but waited_us is not all its time";
    if (r->answered_us == 0)
        return NULL;
    if (call->given == 0 || !is_answer(r->status))
        return "answered_us is set, but there was no answer";
    if (call->start_us + r->waited_us != call->given_us)
        return "waited_us is not the time until the call was sent";
    return r->waited_us + r->answered_us == elapsed_us
               ? NULL
               : "waited_us + answered_us is less than the whole time";
}

static const char *check_outcome(struct checker *c, struct call *call,
                                 const struct sim_record *r)
{
    bool notification = (call->flags & JSONRPCC_NOTIFICATION) != 0;

    if (!call->accepted)
        return "a call that was not accepted got an outcome";
    if (call->ended)
        return "a call got a second outcome";
    if (c->closed)
        return "a call got an outcome after close";
    call->ended = true;
    call->ended_us = r->time_us;
    call->fate = r->fate;
    if (r->sends != call->given)
        return "attempts is not how often the call was sent";
    const char *wrong = check_times(call, r);
    if (wrong != NULL)
        return wrong;
    if (r->fate == JSONRPCC_NOT_SENT && call->given > 0)
        return "the fate is NOT_SENT, but the call was sent";
    if (r->fate == JSONRPCC_UNKNOWN && !call->begun)
        return "the fate is UNKNOWN, but no byte was sent";
    if (notification && r->status == JSONRPCC_OK)
        return call->given == 1 && r->fate == JSONRPCC_UNKNOWN
                   ? NULL
                   : "a notification ended as OK, but was not sent once";
    if (notification && is_answer(r->status))
        return "a notification got an answer";
    if (is_answer(r->status))
        return check_answer(c, call, r);
    if (r->fate == JSONRPCC_ANSWERED)
        return "the fate is ANSWERED, but there was no answer";
    return check_failure(c, call, r);
}

static const char *check_given(struct call *call, const struct sim_record *r)
{
    unsigned most = (call->flags & JSONRPCC_IDEMPOTENT) != 0 ? 3 : 1;

    if (!call->accepted)
        return "a call that was not accepted was sent";
    if (!reached(call, r->link))
        return "a frame ended on a connection where it did not begin";
    if (++call->given > most)
        return "the call was sent too often";
    call->given_us = r->time_us;
    if (call->ended && call->fate == JSONRPCC_NOT_SENT)
        return "the call was sent after it had ended as NOT_SENT";
    return NULL;
}

static const char *check_begun(struct call *call, const struct sim_record *r)
{
    if (!call->accepted)
        return "a call that was not accepted was sent";
    if (call->ended)
        return "the call was sent after its outcome";
    call->begun = true;
    note_link(call, r->link);
    return NULL;
}

static const char *check_tick(struct checker *c, const struct sim_record *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->live_count; i++) {
        const struct call *call = &c->calls[c->live[i]];
        if (call->ended)
            continue;
        if (call->deadline_us <= r->time_us)
            return "the deadline has passed without an outcome";
        c->live[kept++] = c->live[i];
    }
    c->live_count = kept;
    return NULL;
}

static const char *check_submit(struct checker *c, struct call *call,
                                const struct sim_record *r)
{
    if (call->accepted)
        return "a token was used twice";
    if (c->closing)
        return "a call was accepted after close";
    call->accepted = true;
    call->flags = r->flags;
    call->start_us = r->time_us;
    call->deadline_us = r->value;
    c->live[c->live_count++] = r->token;
    return NULL;
}

static void note_reply(struct call *call, const struct sim_record *r)
{
    unsigned at = call->reply_count++ % REPLIES;

    call->replies[at].link = r->link;
    call->replies[at].status = r->status;
    call->replies[at].value = r->value;
}

/* A connection that has to prove itself gets one call, and another only if
 * that has had no response for a long time. */
static const char *check_routed(struct checker *c, const struct sim_record *r)
{
    if (r->value != 0)
        return "the call went to a server although a better one is up";
    if (r->waited_us == 0)
        return NULL;
    uint64_t before_us = c->tried_us[r->link];
    c->tried_us[r->link] = r->time_us;
    return before_us != 0 && r->time_us - before_us < r->waited_us
               ? "an unproven connection got another call too soon"
               : NULL;
}

static const char *check_record(struct checker *c, const struct sim_record *r)
{
    struct call *call = &c->calls[r->token];

    if (r->time_us < c->time_us)
        return "time went backwards";
    c->time_us = r->time_us;
    switch (r->kind) {
    case SIM_SUBMIT:
        return check_submit(c, call, r);
    case SIM_CANCEL:
        call->cancelled = true;
        return NULL;
    case SIM_ROUTED:
        return check_routed(c, r);
    case SIM_BEGUN:
        return c->lost[r->link]
                   ? "the call was sent on a connection that was closed"
                   : check_begun(call, r);
    case SIM_GIVEN:
        return check_given(call, r);
    case SIM_REPLY:
        note_reply(call, r);
        return NULL;
    case SIM_OUTCOME:
        return check_outcome(c, call, r);
    case SIM_LOST:
        c->lost[r->link] = true;
        return NULL;
    case SIM_TICK:
        return check_tick(c, r);
    case SIM_CLOSE:
        c->closing = true;
        for (size_t i = 0; i < c->live_count; i++)
            if (c->calls[c->live[i]].deadline_us > r->value)
                c->calls[c->live[i]].deadline_us = r->value;
        return NULL;
    case SIM_CLOSED:
        c->closed = true;
        return NULL;
    default:
        return NULL;
    }
}

static const char *check_all(struct checker *c,
                             const struct sim_history *history, size_t *at)
{
    for (*at = 0; *at < history->count; ++*at) {
        const char *rule = check_record(c, &history->list[*at]);
        if (rule != NULL)
            return rule;
    }
    for (uint64_t token = 0; token < c->token_room; token++)
        if (c->calls[token].accepted && !c->calls[token].ended)
            return "a call has no outcome";
    return NULL;
}

const char *sim_check(const struct sim_history *history, size_t *at)
{
    struct checker c = {.token_room = 1, .link_room = 1};

    for (size_t i = 0; i < history->count; i++) {
        if (history->list[i].token >= c.token_room)
            c.token_room = history->list[i].token + 1;
        if (history->list[i].link >= c.link_room)
            c.link_room = history->list[i].link + 1;
    }
    c.calls = calloc(c.token_room, sizeof *c.calls);
    c.live = calloc(c.token_room + history->count, sizeof *c.live);
    c.lost = calloc(c.link_room, sizeof *c.lost);
    c.tried_us = calloc(c.link_room, sizeof *c.tried_us);
    if (c.calls == NULL || c.live == NULL || c.lost == NULL ||
        c.tried_us == NULL)
        abort();
    const char *rule = check_all(&c, history, at);
    free(c.calls);
    free(c.live);
    free(c.lost);
    free(c.tried_us);
    return rule;
}

void sim_history_print(const struct sim_history *history, uint64_t token)
{
    static const char *const names[] = {"submit", "refuse", "cancel", "routed",
                                        "begun",  "given",  "reply",  "outcome",
                                        "lost",   "tick",   "close",  "closed",
                                        "lookup", "answer", "named",  "listed"};

    for (size_t i = 0; i < history->count; i++) {
        const struct sim_record *r = &history->list[i];
        if (r->token == token && r->kind != SIM_TICK)
            printf("  %10llu us %-8s server %d link %u status %u fate %u sends "
                   "%u flags %u value %llu\n",
                   (unsigned long long)r->time_us, names[r->kind], r->server,
                   r->link, r->status, r->fate, r->sends, r->flags,
                   (unsigned long long)r->value);
    }
}
