/* Requests byte for byte, params that try to break out, and what becomes of
 * every shape of response. */
#include "check.h"
#include "json_scan.h"
#include "message.h"
#include "netstring.h"
#include "response.h"

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
        size_t size = jrc_message_frame_size(&message, id);
        frame = malloc(size + 1);
        char *exact = malloc(size); /* ASan sees what is written beyond */
        jrc_message_write(&message, id, size, exact);
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

/* Texts that end the params early and go on with something of their own. */
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

/* ---- responses ----------------------------------------------------------- */

#define V "\"jsonrpc\":\"2.0\""

enum {
    RESULT = JRC_RESPONSE_RESULT,
    ERROR = JRC_RESPONSE_ERROR,
    INVALID = JRC_RESPONSE_INVALID,
    NOBODYS = JRC_RESPONSE_NOBODYS,
    IGNORED = JRC_RESPONSE_IGNORED
};

static const struct {
    const char *payload;
    int kind;
    uint64_t id;
    const char *json; /* of RESULT and ERROR */
} responses[] = {
    /* results */
    {"{" V ",\"id\":7,\"result\":1}", RESULT, 7, "1"},
    {"{" V ",\"id\":7,\"result\":null}", RESULT, 7, "null"},
    {"{" V ",\"id\":7,\"result\":false}", RESULT, 7, "false"},
    {"{" V ",\"id\":7,\"result\":0}", RESULT, 7, "0"},
    {"{" V ",\"id\":7,\"result\":\"\"}", RESULT, 7, "\"\""},
    {"{" V ",\"id\":7,\"result\": {\"a\" :[1 ]} }", RESULT, 7, "{\"a\" :[1 ]}"},
    {"{" V ",\"id\":7,\"result\":1,\"error\":null}", RESULT, 7, "1"},
    {"{" V ",\"id\":7,\"result\":null,\"error\":null}", RESULT, 7, "null"},
    {"{\"id\":7,\"result\":1}", RESULT, 7, "1"},
    {"{\"jsonrpc\":\"1.0\",\"id\":7,\"result\":1}", RESULT, 7, "1"},
    {" \t{\"result\":1,\"extra\":{},\"id\":7," V "}\n", RESULT, 7, "1"},
    {"{\"i\\u0064\":7,\"r\\u0065sult\":18446744073709551616}", RESULT, 7,
     "18446744073709551616"},
    {"{\"id\":7,\"method\":\"m\",\"result\":1}", RESULT, 7, "1"},
    {"{ \"jsonrpc\" : \"2.0\" , \"result\" : [ 1 ] , \"id\" : 7 } ", RESULT, 7,
     "[ 1 ]"},
    {"{\"result\":1,\"id\":7}", RESULT, 7, "1"},
    {"{\"result\":\"}\",\"id\":7}", RESULT, 7, "\"}\""},
    {"{\"id\":7,\"result\":1,\"jsonrpc\":\"2.0\"}", RESULT, 7, "1"},
    /* errors, whatever their shape */
    {"{\"id\":7,\"error\":{\"code\":1}}", ERROR, 7, "{\"code\":1}"},
    {"{\"id\":7,\"error\":\"no\"}", ERROR, 7, "\"no\""},
    {"{\"id\":7,\"error\":false}", ERROR, 7, "false"},
    {"{\"id\":7,\"error\":0,\"result\":null}", ERROR, 7, "0"},
    /* neither, both, twice */
    {"{\"id\":7}", INVALID, 7, NULL},
    {"{\"id\":7,\"error\":null}", INVALID, 7, NULL},
    {"{\"id\":7,\"error\":{},\"result\":1}", INVALID, 7, NULL},
    {"{\"id\":7,\"error\":{},\"result\":false}", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":1,\"result\":2}", INVALID, 7, NULL},
    {"{\"id\":7,\"error\":1,\"error\":2}", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":1,\"r\\u0065sult\":2}", INVALID, 7, NULL},
    {"{" V "," V ",\"id\":7,\"result\":1}", RESULT, 7, "1"},
    {"{\"jsonrpc\":\"3.0\",\"id\":7,\"result\":1}", INVALID, 7, NULL},
    {"{\"jsonrpc\":2.0,\"id\":7,\"result\":1}", INVALID, 7, NULL},
    /* ids */
    {"{\"id\":\"7\",\"result\":1}", RESULT, 7, "1"},
    {"{\"id\":9007199254740991,\"result\":1}", RESULT, 9007199254740991, "1"},
    {"{\"id\":7.0,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":7e0,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":-7,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":0,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":\"07\",\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":\" 7\",\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":\"7\\u0030\",\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":\"\",\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":\"x\",\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":null,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":null,\"error\":{\"code\":-32700}}", NOBODYS, 0, NULL},
    {"{\"id\":true,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":[7],\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":7,\"id\":8,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":12345678901234567,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":18446744073709551623,\"result\":1}", NOBODYS, 0, NULL},
    /* no responses */
    {"{\"result\":1}", IGNORED, 0, NULL},
    {"{\"id\":7,\"method\":\"m\"}", IGNORED, 0, NULL},
    {"{\"method\":\"m\"}", IGNORED, 0, NULL},
    {"[{\"id\":7,\"result\":1}]", IGNORED, 0, NULL},
    {"7", IGNORED, 0, NULL},
    {"null", IGNORED, 0, NULL},
    {"", IGNORED, 0, NULL},
    {"HTTP/1.1 400", IGNORED, 0, NULL},
    {"\xef\xbb\xbf{}", IGNORED, 0, NULL},
    /* broken, and yet the call can be told */
    {"{\"id\":7,\"result\":01}", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":1}}", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":1,}", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":1 2}", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":NaN}", INVALID, 7, NULL},
    {"{\"id\":\"7\",\"result\":\"\xff\"}", INVALID, 7, NULL},
    {"{\"result\":[1,],\"id\": 7 }", INVALID, 7, NULL},
    {"{\"id\":7,\"result\":[[[[[[[[[1]]]]]]]]]}", INVALID, 7, NULL},
    {"{\"id\":7", IGNORED, 0, NULL},
    {"{\"id\":7x,\"result\":NaN}", IGNORED, 0, NULL},
};

static void test_responses(void)
{
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        size_t len = strlen(responses[i].payload);
        char *payload = malloc(len + (len == 0));
        struct jrc_response got;
        memcpy(payload, responses[i].payload, len);
        jrc_response_read(payload, len, 8, &got);
        const char *want = responses[i].json;
        bool same =
            (int)got.kind == responses[i].kind && got.id == responses[i].id;
        if (same && want != NULL)
            same = got.json_len == strlen(want) &&
                   memcmp(got.json, want, got.json_len) == 0;
        if (same && got.kind == JRC_RESPONSE_INVALID)
            same = got.json != NULL && got.json_len == strlen(got.json);
        if (!CHECK(same))
            printf("%s: kind %d, id %llu, %.*s\n", responses[i].payload,
                   (int)got.kind, (unsigned long long)got.id, (int)got.json_len,
                   got.json);
        for (size_t n = 0; n <= len; n++) { /* no prefix may be over-read */
            char *prefix = malloc(n + (n == 0));
            memcpy(prefix, payload, n);
            jrc_response_read(prefix, n, 8, &got);
            free(prefix);
        }
        free(payload);
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

int main(void)
{
    test_requests_byte_for_byte();
    test_bad_methods();
    test_params();
    test_injection();
    test_responses();
    test_what_is_left_behind();
    return check_done();
}
