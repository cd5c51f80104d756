#include "sim_mutants.h"

#include "jsonrpcc.h"

#include <string.h>

const char *const sim_status_names[] = {
    "ok",      "invalid",   "no memory",        "too big",
    "full",    "closed",    "remote error",     "timed out",
    "failure", "conn lost", "invalid response", "cancelled",
    "pending", "deadlock"};

size_t sim_mutant_find(const struct sim_history *h, size_t start, int kind,
                       int status)
{
    for (size_t i = start; i < h->count; i++)
        if (h->list[i].kind == kind &&
            (status < 0 || h->list[i].status == status))
            return i;
    return h->count;
}

static size_t find_token(const struct sim_history *h, int kind, uint64_t token)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == kind && h->list[i].token == token)
            return i;
    return h->count;
}

/* The first outcome from start on with a result. */
static size_t find_result(const struct sim_history *h, size_t start)
{
    size_t i = sim_mutant_find(h, start, SIM_OUTCOME, JSONRPCC_OK);

    while (i < h->count && h->list[i].fate != JSONRPCC_ANSWERED)
        i = sim_mutant_find(h, i + 1, SIM_OUTCOME, JSONRPCC_OK);
    return i;
}

static void insert(struct sim_history *h, size_t at, struct sim_record record)
{
    sim_record(h, &record);
    memmove(&h->list[at + 1], &h->list[at],
            (h->count - 1 - at) * sizeof record);
    h->list[at] = record;
}

static void erase(struct sim_history *h, size_t at)
{
    h->count--;
    memmove(&h->list[at], &h->list[at + 1], (h->count - at) * sizeof *h->list);
}

static bool lose_outcome(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, -1);

    if (i == h->count)
        return false;
    erase(h, i);
    return true;
}

static bool double_outcome(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, -1);

    if (i == h->count)
        return false;
    insert(h, i + 1, h->list[i]);
    return true;
}

static bool swap_results(struct sim_history *h)
{
    size_t i = find_result(h, 0);
    size_t j = i < h->count ? find_result(h, i + 1) : i;

    if (j >= h->count)
        return false;
    uint64_t value = h->list[i].value;
    h->list[i].value = h->list[j].value;
    h->list[j].value = value;
    return true;
}

static bool invent_result(struct sim_history *h)
{
    size_t i = find_result(h, 0);

    if (i < h->count)
        h->list[i].value += 1000000;
    return i < h->count;
}

static bool report_error_as_result(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, JSONRPCC_EREMOTE);

    if (i < h->count)
        h->list[i].status = JSONRPCC_OK;
    return i < h->count;
}

static bool report_sent_as_not_sent(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_OUTCOME &&
            h->list[i].status == JSONRPCC_ETIMEDOUT && h->list[i].sends > 0) {
            h->list[i].fate = JSONRPCC_NOT_SENT;
            return true;
        }
    return false;
}

static bool report_not_sent_as_unknown(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_OUTCOME &&
            h->list[i].fate == JSONRPCC_NOT_SENT) {
            h->list[i].fate = JSONRPCC_UNKNOWN;
            return true;
        }
    return false;
}

static bool send_later(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_OUTCOME &&
            h->list[i].fate == JSONRPCC_NOT_SENT) {
            struct sim_record begun = h->list[i];
            begun.kind = SIM_BEGUN;
            insert(h, i + 1, begun);
            return true;
        }
    return false;
}

static bool send_twice(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->list[i].kind != SIM_GIVEN)
            continue;
        size_t s = find_token(h, SIM_SUBMIT, h->list[i].token);
        if (s == h->count || (h->list[s].flags & JSONRPCC_IDEMPOTENT) != 0)
            continue;
        insert(h, i + 1, h->list[i]);
        return true;
    }
    return false;
}

static bool miscount_sends(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, -1);

    if (i < h->count)
        h->list[i].sends++;
    return i < h->count;
}

static bool wait_too_long(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, -1);

    if (i < h->count)
        h->list[i].waited_us += 3600000000;
    return i < h->count;
}

static bool wait_too_little(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_OUTCOME && h->list[i].sends == 0 &&
            h->list[i].waited_us > 0) {
            h->list[i].waited_us--;
            return true;
        }
    return false;
}

static bool answer_unsent(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_OUTCOME && h->list[i].sends == 0 &&
            h->list[i].waited_us > 0) {
            h->list[i].answered_us = h->list[i].waited_us;
            h->list[i].waited_us = 0;
            return true;
        }
    return false;
}

static bool answer_too_soon(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_OUTCOME && h->list[i].answered_us > 1) {
            h->list[i].answered_us--;
            return true;
        }
    return false;
}

static bool time_out_early(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, JSONRPCC_ETIMEDOUT);

    if (i == h->count)
        return false;
    h->list[find_token(h, SIM_SUBMIT, h->list[i].token)].value += 3600000000;
    return true;
}

static bool time_out_late(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, JSONRPCC_ETIMEDOUT);

    if (i == h->count)
        return false;
    struct sim_record tick = h->list[i];
    tick.kind = SIM_TICK;
    tick.token = 0;
    insert(h, i, tick);
    return true;
}

static bool outcome_after_refusal(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, -1);

    if (i == h->count)
        return false;
    h->list[find_token(h, SIM_SUBMIT, h->list[i].token)].kind = SIM_REFUSE;
    return true;
}

static bool outcome_after_close(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, -1);

    if (i == h->count)
        return false;
    struct sim_record closed = h->list[i];
    closed.kind = SIM_CLOSED;
    insert(h, i, closed);
    return true;
}

static bool accept_after_close(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_SUBMIT, -1);

    if (i == h->count)
        return false;
    struct sim_record close = h->list[i];
    close.kind = SIM_CLOSE;
    close.value = UINT64_MAX;
    insert(h, i, close);
    return true;
}

static bool pass_over_better_server(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_ROUTED, -1);

    if (i < h->count)
        h->list[i].value = 1;
    return i < h->count;
}

static bool try_twice(struct sim_history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].kind == SIM_ROUTED && h->list[i].waited_us != 0) {
            insert(h, i + 1, h->list[i]);
            return true;
        }
    return false;
}

static bool fail_with_a_server_up(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, JSONRPCC_EFAILURE);

    if (i < h->count)
        h->list[i].value = 1;
    return i < h->count;
}

static bool cancel_unrequested(struct sim_history *h)
{
    size_t i = sim_mutant_find(h, 0, SIM_OUTCOME, JSONRPCC_ECANCELLED);

    if (i == h->count)
        return false;
    erase(h, find_token(h, SIM_CANCEL, h->list[i].token));
    return true;
}

static bool answer_from_lost_connection(struct sim_history *h)
{
    size_t i = find_result(h, 0);

    if (i == h->count)
        return false;
    for (size_t k = 0; k < i; k++)
        if (h->list[k].kind == SIM_REPLY &&
            h->list[k].value == h->list[i].value) {
            struct sim_record lost = h->list[k];
            lost.kind = SIM_LOST;
            lost.token = 0;
            insert(h, k + 1, lost);
            return true;
        }
    return false;
}

static bool answer_from_elsewhere(struct sim_history *h)
{
    size_t i = find_result(h, 0);

    if (i == h->count)
        return false;
    for (size_t k = 0; k < i; k++)
        if (h->list[k].kind == SIM_REPLY &&
            h->list[k].value == h->list[i].value)
            h->list[k].link++;
    return true;
}

static bool answer_with_unknown_fate(struct sim_history *h)
{
    size_t i = find_result(h, 0);

    if (i < h->count)
        h->list[i].fate = JSONRPCC_UNKNOWN;
    return i < h->count;
}

const struct sim_mutant sim_mutants[] = {
    {"an outcome is lost", lose_outcome},
    {"a call gets two outcomes", double_outcome},
    {"two results are swapped", swap_results},
    {"a result that no server sent", invent_result},
    {"an error reported as a result", report_error_as_result},
    {"NOT_SENT, although it was sent", report_sent_as_not_sent},
    {"UNKNOWN, although it was not sent", report_not_sent_as_unknown},
    {"NOT_SENT, but sent later", send_later},
    {"sent twice", send_twice},
    {"a wrong number of attempts", miscount_sends},
    {"waited too long", wait_too_long},
    {"waited too little", wait_too_little},
    {"answered, but never sent", answer_unsent},
    {"answered too soon", answer_too_soon},
    {"timed out too early", time_out_early},
    {"timed out too late", time_out_late},
    {"refused, but got an outcome", outcome_after_refusal},
    {"an outcome after close", outcome_after_close},
    {"accepted after close", accept_after_close},
    {"a better server is passed over", pass_over_better_server},
    {"two calls on an unproven connection", try_twice},
    {"a failure while a server is up", fail_with_a_server_up},
    {"cancelled, but nobody cancelled it", cancel_unrequested},
    {"an answer from a closed connection", answer_from_lost_connection},
    {"an answer from another connection", answer_from_elsewhere},
    {"an answer with the fate UNKNOWN", answer_with_unknown_fate},
};

const size_t sim_mutant_count = sizeof sim_mutants / sizeof sim_mutants[0];
