/* Requests byte for byte, and params that try to break out. */
#include "check.h"
#include "wire/json_plain.h"
#include "wire/json_scan.h"
#include "wire/netstring.h"
#include "wire/request.h"

#include <stdlib.h>
#include <string.h>

/* The frame of a request in new memory, NUL-terminated; NULL if refused. */
static char *build(const char *method, size_t method_len, const char *params,
                   uint64_t id, bool lenient, struct jrc_fault *fault)
{
    struct jrc_message message;
    char *m = malloc(method_len + (method_len == 0));
    size_t params_len = params == NULL ? 0 : strlen(params);
    char *p = params == NULL ? NULL : malloc(params_len + (params_len == 0));
    char *frame = NULL;

    memcpy(m, method, method_len);
    if (p != NULL)
        memcpy(p, params, params_len);
    if (jrc_message_init(&message, m, method_len, p, params_len, lenient,
                         fault)) {
        size_t size = jrc_message_frame_size(&message, &jrc_netstrings, id);
        frame = malloc(size + 1);
        char *exact = malloc(size); /* ASan sees overruns */
        jrc_message_write(&message, &jrc_netstrings, id, size, exact);
        memcpy(frame, exact, size);
        frame[size] = '\0';
        free(exact);
        jrc_message_clear(&message);
    }
    free(m);
    free(p);
    return frame;
}

/* ---- requests ------------------------------------------------------------ */

static const struct {
    const char *method, *params;
    uint64_t id;
    const char *frame;
} requests[] = {
    {"m", NULL, 1, "37:{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"},"},
    {"m", NULL, 0, "30:{\"jsonrpc\":\"2.0\",\"method\":\"m\"},"},
    {"m", "[]", 0, "42:{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[]},"},
    {"get", "{\"a\": 1}", 9007199254740991,
     "72:{\"jsonrpc\":\"2.0\",\"id\":9007199254740991,\"method\":\"get\","
     "\"params\":{\"a\": 1}},"},
    {"a\"b\\c\n\x1f", NULL, 7,
     "55:{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\\\"b\\\\c\\u000a\\u001f\"},"},
    {"\xc3\xa4", " [1 ] ", 7,
     "54:{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"\xc3\xa4\",\"params\": [1 ] },"},
};

/* ---- further members ----------------------------------------------------- */

static const struct {
    const char *object, *params, *payload; /* NULL: refused */
} additions[] = {
    {"{}", NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}"},
    {" { } ", "[]", "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[]}"},
    {"{\"a\":1}", NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"a\":1}"},
    {"\n{ \"a\":\"}\" }\t", "[1]",
     "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[1], \"a\":\"}\" }"},
    {"{\"a\":{\"id\":1},\"ids\":2}", NULL,
     "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"a\":{\"id\":1},\"ids\":2}"},
    {"", NULL, NULL},
    {"[1]", NULL, NULL},
    {"1", NULL, NULL},
    {"{\"a\":1", NULL, NULL},
    {"{\"a\":1},{}", NULL, NULL},
    {"{\"a\":1}}", NULL, NULL},
    {"{'a':1}", NULL, NULL},
    {"{\"jsonrpc\":\"1.0\"}", NULL, NULL},
    {"{\"a\":1,\"id\":2}", NULL, NULL},
    {"{\"i\\u0064\":2}", NULL, NULL},
    {"{\"method\":\"x\"}", NULL, NULL},
    {"{\"params\":null}", NULL, NULL},
    {"{\"result\":1}", NULL, NULL},
    {"{\"error\":1}", NULL, NULL},
};

static void test_further_members(void)
{
    for (size_t i = 0; i < sizeof additions / sizeof additions[0]; i++) {
        size_t len = strlen(additions[i].object);
        char *object = malloc(len + (len == 0)); /* ASan sees over-reads */
        const char *params = additions[i].params;
        struct jrc_message message;
        struct jrc_fault fault = {NULL, 0};

        memcpy(object, additions[i].object, len);
        CHECK(jrc_message_init(&message, "m", 1, params,
                               params == NULL ? 0 : strlen(params), JRC_STRICT,
                               &fault));
        size_t before = message.size;
        bool good = jrc_message_add(&message, object, len, &fault);
        if (!CHECK(good == (additions[i].payload != NULL)))
            printf("  %s\n", additions[i].object);
        CHECK(good || (message.size == before && fault.rule != NULL));
        if (good && additions[i].payload != NULL) {
            const char *payload;
            size_t payload_len;
            size_t size = jrc_message_frame_size(&message, &jrc_netstrings, 0);
            char *frame = malloc(size);
            jrc_message_write(&message, &jrc_netstrings, 0, size, frame);
            CHECK(jrc_netstrings.decode(frame, size, 1000, &payload,
                                        &payload_len) == (ssize_t)size);
            CHECK(payload_len == strlen(additions[i].payload) &&
                  memcmp(payload, additions[i].payload, payload_len) == 0);
            free(frame);
        }
        jrc_message_clear(&message);
        free(object);
    }
}

static void test_requests_byte_for_byte(void)
{
    struct jrc_fault fault;

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        char *frame = build(requests[i].method, strlen(requests[i].method),
                            requests[i].params, requests[i].id, false, &fault);
        if (!CHECK(frame != NULL && strcmp(frame, requests[i].frame) == 0))
            printf("want %s\ngot  %s\n", requests[i].frame, frame);
        free(frame);
    }
}

/* Short and long texts are copied in different ways. */
static void test_texts_of_all_lengths(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
    struct jrc_fault fault;

    for (int len = 1; len <= 40; len++) {
        char params[64], payload[200], want[220];
        snprintf(params, sizeof params, "[\"%.*s\"]", 40 - len, letters);
        int size =
            snprintf(payload, sizeof payload,
                     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%.*s\","
                     "\"params\":%s}",
                     len, len, letters, params);
        snprintf(want, sizeof want, "%d:%s,", size, payload);
        char *frame =
            build(letters, (size_t)len, params, (uint64_t)len, false, &fault);
        CHECK(frame != NULL && strcmp(frame, want) == 0);
        free(frame);
    }
}

static void test_texts_without_escapes(void)
{
    char text[40];

    for (size_t len = 0; len < sizeof text; len++) {
        memset(text, 'a', sizeof text);
        CHECK(jrc_json_is_plain(text, len));
        for (size_t at = 0; at < sizeof text; at++) {
            text[at] = at % 2 ? '"' : '\n';
            CHECK(jrc_json_is_plain(text, len) == (at >= len));
            text[at] = 'a';
        }
    }
}

static void test_bad_methods(void)
{
    static const struct {
        const char *text;
        size_t len;
    } methods[] = {{"", 0}, {"\xff", 1}, {"a\xc3", 2}, {"\xed\xa0\x80", 3}};
    struct jrc_fault fault;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        CHECK(build(methods[i].text, methods[i].len, "[]", 1, false, &fault) ==
              NULL);
        CHECK(fault.rule != NULL && strstr(fault.rule, "method") != NULL);
    }
    char *frame = build("a\0b", 3, NULL, 1, false, &fault);
    CHECK(frame != NULL && strstr(frame, "a\\u0000b") != NULL);
    free(frame);
}

/* ---- params -------------------------------------------------------------- */

static const struct {
    const char *in, *strict, *lenient; /* NULL: refused */
} params[] = {
    {"[]", "[]", "[]"},
    {"{'id': 1234}", NULL, "{\"id\": 1234}"},
    {"['a\"b']", NULL, "[\"a\\\"b\"]"},
    {"['it\\'s']", NULL, "[\"it's\"]"},
    {"[\"it's\"]", "[\"it's\"]", "[\"it's\"]"},
    {"['a\\\\']", NULL, "[\"a\\\\\"]"},
    {"['\\u0041\\n']", NULL, "[\"\\u0041\\n\"]"},
    {"['a\\\"b']", NULL, "[\"a\\\"b\"]"},
    {"[18446744073709551616, 1e400, -0]", "[18446744073709551616, 1e400, -0]",
     "[18446744073709551616, 1e400, -0]"},
    {"{'a':1,'a':2}", NULL, "{\"a\":1,\"a\":2}"},
    {"{'a\\u0000b':1}", NULL, "{\"a\\u0000b\":1}"},
    {"'a'", NULL, NULL},
    {"\"a\"", NULL, NULL},
    {"1", NULL, NULL},
    {"null", NULL, NULL},
    {"", NULL, NULL},
    {"['a]", NULL, NULL},
    {"['a\\", NULL, NULL},
    {"['a\\'", NULL, NULL},
    {"['", NULL, NULL},
    {"'", NULL, NULL},
    {"[''']", NULL, NULL},
    {"['a',]", NULL, NULL},
    {"{a:1}", NULL, NULL},
    {"[1] // '", NULL, NULL},
    {"['\n']", NULL, NULL},
    {"['\xff']", NULL, NULL},
    {"[NaN, '']", NULL, NULL},
    {"[01, '']", NULL, NULL},
};

static void check_params(const char *in, const char *want, bool lenient)
{
    struct jrc_fault fault = {NULL, 0};
    char expected[200];
    char *frame = build("m", 1, in, 1, lenient, &fault);

    snprintf(expected, sizeof expected, ",\"params\":%s},", want ? want : "");
    if (!CHECK((frame != NULL) == (want != NULL)) ||
        (frame != NULL && !CHECK(strstr(frame, expected) != NULL)))
        printf("%s: %s\n", in, frame);
    if (frame == NULL)
        CHECK(fault.rule != NULL && fault.at <= strlen(in));
    free(frame);
}

static void test_params(void)
{
    for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
        check_params(params[i].in, params[i].strict, false);
        check_params(params[i].in, params[i].lenient, true);
    }
}

/* Texts that end the params early and continue with something else. */
static void test_injection(void)
{
    static const char *const texts[] = {
        "[1],\"method\":\"admin.delete\"",
        "[1]},{\"jsonrpc\":\"2.0\",\"method\":\"x\"",
        "[1]},5:hello,",
        "[1]}]",
        "[1]],[",
        "{},\"id\":1",
        "{}}",
        "[1] [2]",
        "[1],'x':'y'",
        "['],\"method\":\"x\",\"y\":[']",
        "['\\'],\"method\":\"x\",\"y\":[\\'']",
        "[\"\\\"],'method':'x','y':['\"]",
        "{'a':1},'method':'x'",
        "[1]\0,\"method\":\"x\"",
    };
    struct jrc_json_report report;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int lenient = 0; lenient < 2; lenient++) {
            struct jrc_fault fault;
            const char *payload;
            size_t len;
            char *frame = build("m", 1, texts[i], 77, lenient != 0, &fault);
            if (frame == NULL)
                continue;
            struct jrc_json_member members[] = {
                {.name = "method", .name_len = 6},
                {.name = "id", .name_len = 2},
                {.name = "params", .name_len = 6}};
            CHECK(jrc_netstring_decode(frame, strlen(frame), 1000, &payload,
                                       &len) == (ssize_t)strlen(frame));
            CHECK(jrc_json_scan(payload, len, 64, members, 3, &report));
            for (size_t k = 0; k < 3; k++)
                CHECK(members[k].count == 1);
            CHECK(strncmp(members[0].text, "\"m\"", 3) == 0);
            CHECK(strncmp(members[1].text, "77,", 3) == 0);
            free(frame);
        }
}

static void test_what_is_left_behind(void)
{
    struct jrc_message message;
    struct jrc_fault fault = {NULL, 99};
    char *owned = (char *)1;
    size_t len;

    CHECK(!jrc_message_init(&message, "", 0, NULL, 0, false, &fault));
    CHECK(fault.rule != NULL && fault.at == 0);
    CHECK(jrc_params_check("[]", 2, true, &owned, &len, &fault));
    CHECK(owned == NULL); /* nothing to free */
    owned = (char *)1;
    CHECK(!jrc_params_check("x", 1, true, &owned, &len, &fault));
    CHECK(owned == NULL);
    CHECK(jrc_message_init(&message, "a\"", 2, "['b']", 5, true, &fault));
    jrc_message_clear(&message);
    jrc_message_clear(&message); /* a second time does nothing */
}

/* ---- other framings ------------------------------------------------------ */

static size_t plus_one(size_t payload_len)
{
    return payload_len + 1;
}

static char *bar_before(char *payload, size_t payload_len)
{
    CHECK(payload_len == 37 || payload_len == 30);
    payload[-1] = '|';
    return payload - 1;
}

static char *nothing_before(char *payload, size_t payload_len)
{
    (void)payload_len;
    return payload;
}

/* The framing decides what both ends of a frame are, if there are any. */
static void test_a_request_takes_the_framing_it_is_given(void)
{
    static const struct {
        struct jrc_framing framing;
        uint64_t id;
        const char *frame;
    } cases[] = {
        {{.frame_size = plus_one, .begin = bar_before},
         1,
         "|{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}"},
        {{.frame_size = plus_one,
          .begin = nothing_before,
          .tail_size = 1,
          .tail = '\n'},
         0,
         "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n"},
    };
    struct jrc_message message;
    struct jrc_fault fault;

    CHECK(jrc_message_init(&message, "m", 1, NULL, 0, JRC_STRICT, &fault));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct jrc_framing *framing = &cases[i].framing;
        size_t size = jrc_message_frame_size(&message, framing, cases[i].id);
        char *exact = malloc(size);
        CHECK(size == strlen(cases[i].frame));
        jrc_message_write(&message, framing, cases[i].id, size, exact);
        CHECK(memcmp(exact, cases[i].frame, size) == 0);
        free(exact);
    }
    jrc_message_clear(&message);
}

int main(void)
{
    test_requests_byte_for_byte();
    test_further_members();
    test_texts_of_all_lengths();
    test_texts_without_escapes();
    test_bad_methods();
    test_params();
    test_injection();
    test_what_is_left_behind();
    test_a_request_takes_the_framing_it_is_given();
    return check_done();
}
