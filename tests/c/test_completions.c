/* Outcomes in completions: every slice is one JSON array of its own results. */
#include "fault_here.h"

#include "api/completions.h"
#include "check.h"
#include "wire/json_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct jrc_completions *completions, uint64_t token,
                const char *json)
{
    jsonrpcc_outcome outcome = {.fate = JSONRPCC_ANSWERED,
                                .server = (int32_t)(token % 7),
                                .attempts = (uint32_t)(token % 3),
                                .elapsed_us = token * 3,
                                .waited_us = token * 2,
                                .answered_us = token,
                                .json = json,
                                .json_len = strlen(json)};

    jrc_completions_add(completions, token, &outcome);
}

static void fail(struct jrc_completions *completions, uint64_t token,
                 jsonrpcc_status status, const char *json)
{
    jsonrpcc_outcome outcome = {.status = status, .json = json};

    outcome.json_len = json != NULL ? strlen(json) : 0;
    jrc_completions_add(completions, token, &outcome);
}

/* Result i is a string of its token, or the token as a number. */
static void number(char *text, uint64_t token)
{
    sprintf(text, token % 3 == 0 ? "\"%llu,]\"" : "%llu",
            (unsigned long long)token);
}

/* A result that has to have that length. */
static const char *result(const jsonrpcc_completions *slice, size_t i,
                          size_t want)
{
    size_t len;
    const char *text = jsonrpcc_completions_result(slice, i, &len);

    CHECK(text != NULL && len == want);
    return text;
}

static const jsonrpcc_outcome *outcome_of(const jsonrpcc_completions *slice,
                                          size_t i)
{
    return &jsonrpcc_completions_failure(slice, i)->outcome;
}

/* Fetch all; checks that the tokens go on from first. */
static size_t fetch(struct jrc_completions *completions, uint64_t first)
{
    struct jrc_json_report report;
    jsonrpcc_completions slice;
    size_t total = 0;

    while (jrc_completions_slice(completions, &slice)) {
        char text[40];
        CHECK(slice.count <= JRC_COMPLETIONS_RESULTS);
        CHECK(slice.count == 0 ||
              jrc_json_scan(slice.results, slice.results_len, 8, NULL, 0,
                            &report));
        for (size_t i = 0; i < slice.count; i++) {
            const jsonrpcc_origin *origin =
                jsonrpcc_completions_origin(&slice, i);
            number(text, first + total + i);
            size_t len = strlen(text);
            CHECK(slice.tokens[i] == first + total + i);
            CHECK(memcmp(result(&slice, i, len), text, len) == 0);
            CHECK(origin->server == (int32_t)(slice.tokens[i] % 7));
            CHECK(origin->attempts == (uint32_t)(slice.tokens[i] % 3));
            CHECK(origin->elapsed_us == slice.tokens[i] * 3);
            CHECK(origin->waited_us == slice.tokens[i] * 2);
            CHECK(origin->answered_us == slice.tokens[i]);
        }
        CHECK(jsonrpcc_completions_origin(&slice, slice.count) == NULL);
        total += slice.count;
    }
    return total;
}

static void test_slices_of_all_sizes(void)
{
    static const size_t sizes[] = {0, 1, 2, 255, 256, 257, 512, 600, 1000};
    struct jrc_completions completions;

    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        CHECK(jrc_completions_init(&completions, 1000));
        for (int again = 0; again < 2; again++) {
            CHECK(jrc_completions_is_empty(&completions) || sizes[k] == 0);
            for (uint64_t i = 0; i < sizes[k]; i++) {
                char text[40];
                number(text, i);
                add(&completions, i, text);
            }
            CHECK(jrc_completions_is_empty(&completions) == (sizes[k] == 0));
            CHECK(fetch(&completions, 0) == sizes[k]);
            jrc_completions_reset(&completions);
            CHECK(jrc_completions_bytes(&completions) == 0);
        }
        jrc_completions_clear(&completions);
    }
}

static void test_failures_and_events(void)
{
    struct jrc_completions completions;
    jsonrpcc_completions slice;
    jsonrpcc_event event = {
        .kind = JSONRPCC_LOST, .server = 3, .reason = 5, .time_us = 7};

    jrc_completions_init(&completions, 10);
    fail(&completions, 1, JSONRPCC_EREMOTE, "{\"code\":1}");
    fail(&completions, 2, JSONRPCC_ETIMEDOUT, NULL);
    add(&completions, 3, "null");
    fail(&completions, 4, JSONRPCC_EINVALID, "rule");
    jrc_completions_add_event(&completions, &event);
    CHECK(jrc_completions_slice(&completions, &slice));
    CHECK(slice.failure_count == 3 && slice.count == 1);
    CHECK(slice.results_len == 6 && memcmp(slice.results, "[null]", 6) == 0);
    CHECK(jsonrpcc_completions_failure(&slice, 0)->token == 1 &&
          jsonrpcc_completions_failure(&slice, 2)->token == 4);
    CHECK(outcome_of(&slice, 0)->json_len == 10 &&
          memcmp(outcome_of(&slice, 0)->json, "{\"code\":1}", 10) == 0);
    CHECK(outcome_of(&slice, 1)->json == NULL);
    CHECK(memcmp(outcome_of(&slice, 2)->json, "rule", 4) == 0);
    CHECK(slice.event_count == 1 &&
          jsonrpcc_completions_event(&slice, 0)->time_us == 7);
    CHECK(jsonrpcc_completions_failure(&slice, 3) == NULL);
    CHECK(jsonrpcc_completions_event(&slice, 1) == NULL);
    CHECK(!jrc_completions_slice(&completions, &slice));
    size_t len = 1;
    CHECK(jsonrpcc_completions_result(&slice, 0, &len) == NULL && len == 0);
    CHECK(jsonrpcc_completions_event(&slice, 0) == NULL);
    jrc_completions_clear(&completions);
}

/* As the queue does when its reader is slow: fetches are appended to one
 * another. */
static void test_append(void)
{
    struct jrc_completions ready, filling;
    jsonrpcc_completions slice;
    jsonrpcc_event event = {.kind = JSONRPCC_CONNECTED, .time_us = 1};
    uint64_t token = 0;

    jrc_completions_init(&ready, 1000);
    jrc_completions_init(&filling, 1000);
    for (int turn = 0; turn < 9; turn++) {
        for (int i = 0; i < 100; i++) {
            char text[40];
            number(text, token);
            add(&filling, token++, text);
        }
        fail(&filling, (uint64_t)turn, JSONRPCC_EREMOTE, "{}");
        jrc_completions_append(&ready, &filling);
        CHECK(jrc_completions_is_empty(&filling));
        if (turn == 4) { /* partly fetched meanwhile */
            CHECK(jrc_completions_slice(&ready, &slice));
            CHECK(slice.count == 256 && slice.failure_count == 5);
            CHECK(outcome_of(&slice, 4)->json_len == 2);
        }
    }
    CHECK(fetch(&ready, 256) == 900 - 256);
    for (int i = 0; i < JRC_COMPLETIONS_EVENTS + 5; i++)
        jrc_completions_add_event(&filling, &event);
    CHECK(filling.event_count == JRC_COMPLETIONS_EVENTS);
    CHECK(filling.events_dropped == 5);
    jrc_completions_clear(&ready);
    jrc_completions_clear(&filling);
}

/* Without memory for its text, an outcome becomes ENOMEM; none is lost. */
static void test_out_of_memory(void)
{
    for (unsigned n = 1; n < 30; n++) {
        struct jrc_completions completions, more;
        jsonrpcc_completions slice;
        size_t results = 0, failures = 0;
        char *big = malloc(3000);
        memset(big, '1', 2999);
        big[2999] = '\0';
        jrc_completions_init(&completions, 100);
        jrc_completions_init(&more, 100);
        fault_arm(FAULT_MEMORY, n, n % 2 == 0);
        for (uint64_t i = 0; i < 40; i++)
            if (i % 4 == 0)
                fail(&more, i, JSONRPCC_EREMOTE, big);
            else
                add(&more, i, big);
        jrc_completions_append(&completions, &more);
        fault_disarm();
        while (jrc_completions_slice(&completions, &slice)) {
            results += slice.count;
            failures += slice.failure_count;
            for (size_t i = 0; i < slice.count; i++)
                result(&slice, i, 2999);
            for (size_t i = 0; i < slice.failure_count; i++) {
                const jsonrpcc_outcome *o = outcome_of(&slice, i);
                CHECK(o->status == JSONRPCC_EREMOTE ||
                      o->status == JSONRPCC_ENOMEM);
                CHECK(o->json == NULL ? o->json_len == 0 : o->json_len == 2999);
            }
        }
        CHECK(results + failures == 40);
        jrc_completions_clear(&completions);
        jrc_completions_clear(&more);
        free(big);
    }
    for (unsigned n = 1; n < 3 && fault_has_memory(); n++) {
        struct jrc_completions completions;
        fault_arm(FAULT_MEMORY, n, false);
        bool made = jrc_completions_init(&completions, 10);
        fault_disarm();
        CHECK(made == (n == 2)); /* it is one allocation */
        CHECK(made || completions.tokens == NULL);
        jrc_completions_clear(&completions);
    }
}

/* A result too large for any memory loses its own text, and nothing else. */
static void test_a_length_beyond_all_memory(void)
{
    const jsonrpcc_outcome outcome = {
        .status = JSONRPCC_EREMOTE, .json = "{}", .json_len = SIZE_MAX};
    struct jrc_completions completions;
    jsonrpcc_completions slice;

    CHECK(jrc_completions_init(&completions, 8));
    fail(&completions, 1, JSONRPCC_EREMOTE, "{}");
    jrc_completions_add(&completions, 2, &outcome);
    CHECK(jrc_completions_slice(&completions, &slice) &&
          slice.failure_count == 2);
    CHECK(outcome_of(&slice, 0)->json_len == 2);
    CHECK(jsonrpcc_completions_failure(&slice, 1)->token == 2 &&
          outcome_of(&slice, 1)->json == NULL &&
          outcome_of(&slice, 1)->json_len == 0);
    jrc_completions_clear(&completions);
}

/* A slice ends with the result that fills it, even if that is the first. */
static void test_a_large_result_is_alone(void)
{
    struct jrc_completions completions;
    jsonrpcc_completions slice;
    size_t len = JRC_COMPLETIONS_BYTES;
    char *large = malloc(len + 1);

    memset(large, '1', len);
    large[len] = '\0';
    CHECK(jrc_completions_init(&completions, 8));
    add(&completions, 1, large);
    add(&completions, 2, "2");
    CHECK(jrc_completions_slice(&completions, &slice) && slice.count == 1);
    CHECK(jrc_completions_slice(&completions, &slice) && slice.count == 1 &&
          slice.tokens[0] == 2);
    CHECK(!jrc_completions_slice(&completions, &slice));
    jrc_completions_clear(&completions);
    free(large);
}

/* Results of all lengths around the buffer's size, for ASan. */
static void test_results_that_just_fit(void)
{
    char text[4110];
    struct jrc_completions completions;

    for (size_t len = 4085; len < 4105; len++) {
        memset(text, '1', len);
        text[len] = '\0';
        CHECK(jrc_completions_init(&completions, 8));
        add(&completions, 1, text);
        CHECK(jrc_completions_bytes(&completions) == len + 2);
        jrc_completions_clear(&completions);
    }
}

static void test_events_are_appended(void)
{
    struct jrc_completions to, from;
    jsonrpcc_completions slice;

    CHECK(jrc_completions_init(&to, 8) && jrc_completions_init(&from, 8));
    for (int32_t i = 0; i < 3; i++)
        jrc_completions_add_event(&from, &(jsonrpcc_event){.server = i});
    jrc_completions_append(&to, &from);
    CHECK(jrc_completions_is_empty(&from));
    CHECK(jrc_completions_slice(&to, &slice) && slice.event_count == 3);
    for (size_t i = 0; i < 3; i++)
        CHECK(jsonrpcc_completions_event(&slice, i)->server == (int32_t)i);
    jrc_completions_clear(&to);
    jrc_completions_clear(&from);
}

/* The size of what no slice has shown is exact: somebody waits for it to
 * fall. */
static void test_the_size_of_the_rest_is_exact(void)
{
    struct jrc_completions completions;
    jsonrpcc_completions slice;
    char text[40];

    CHECK(jrc_completions_init(&completions, 1000));
    CHECK(jrc_completions_left(&completions) == 0);
    for (uint64_t token = 0; token < 600; token++) {
        number(text, token);
        add(&completions, token, text);
    }
    fail(&completions, 600, JSONRPCC_EREMOTE, "{\"code\":1}");
    size_t left = jrc_completions_left(&completions);
    CHECK(left == jrc_completions_bytes(&completions));
    while (jrc_completions_slice(&completions, &slice)) {
        size_t bytes = slice.failure_count > 0 ? strlen("{\"code\":1}") : 0;
        for (size_t i = 0, len; i < slice.count; i++) {
            jsonrpcc_completions_result(&slice, i, &len);
            bytes += len + 1; /* and a comma */
        }
        bytes +=
            jrc_completions_left(&completions) == 0; /* and the last bracket */
        CHECK(left - jrc_completions_left(&completions) == bytes);
        left = jrc_completions_left(&completions);
    }
    CHECK(left == 0);
    jrc_completions_clear(&completions);
}

/* In each slice, from each position; results fetched before are not found. */
static void test_slow_results_are_found(void)
{
    struct jrc_completions completions;
    jsonrpcc_completions slice;
    uint64_t seen = 0;
    char text[40];

    CHECK(jrc_completions_init(&completions, 1000));
    for (uint64_t token = 0; token < 600; token++) {
        number(text, token);
        add(&completions, token, text);
    }
    fail(&completions, 600, JSONRPCC_EREMOTE, "{\"code\":1}");
    while (jrc_completions_slice(&completions, &slice)) {
        size_t i = jsonrpcc_completions_slow(&slice, 0, 900);
        for (; i < slice.count; seen++) {
            CHECK(slice.tokens[i] == 300 + seen);
            i = jsonrpcc_completions_slow(&slice, i + 1, 900);
        }
        CHECK(i == slice.count);
        CHECK(jsonrpcc_completions_slow(&slice, 0, 0) == 0);
        CHECK(jsonrpcc_completions_slow(&slice, 0, UINT64_MAX) == slice.count);
        CHECK(jsonrpcc_completions_slow(&slice, slice.count + 1, 0) ==
              slice.count);
    }
    CHECK(seen == 300);
    jrc_completions_clear(&completions);
}

int main(void)
{
    test_slices_of_all_sizes();
    test_failures_and_events();
    test_append();
    test_out_of_memory();
    test_a_length_beyond_all_memory();
    test_a_large_result_is_alone();
    test_results_that_just_fit();
    test_events_are_appended();
    test_the_size_of_the_rest_is_exact();
    test_slow_results_are_found();
    return check_done();
}
