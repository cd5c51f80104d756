/* What becomes of every shape of response. */
#include "wire/response.h"

#include "check.h"
#include "wire/response_id.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define V "\"jsonrpc\":\"2.0\""

enum {
    RESULT = JRC_RESPONSE_RESULT,
    ERROR = JRC_RESPONSE_ERROR,
    INVALID = JRC_RESPONSE_INVALID,
    REJECTED = JRC_RESPONSE_REJECTED,
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
    {"{" V "," V ",\"id\":7,\"result\":1}", INVALID, 7, NULL},
    {"{" V ",\"id\":7,\"result\":1," V "}", INVALID, 7, NULL},
    {"{" V ",\"id\":7,\"id\":7,\"result\":1}", INVALID, 7, NULL},
    {"{" V ",\"id\":7,\"result\":1,\"i\\u0064\":7}", INVALID, 7, NULL},
    {"{" V ",\"id\":7,\"id\":7,\"error\":1}", INVALID, 7, NULL},
    {"{\"id\":null,\"id\":null,\"error\":1}", NOBODYS, 0, NULL},
    {"{\"id\":7,\"id\":7,\"result\":01}", IGNORED, 0, NULL},
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
    {"{\"id\":null,\"error\":{\"code\":-32700}}", REJECTED, 0,
     "{\"code\":-32700}"},
    {"{\"id\":true,\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":[7],\"result\":1}", NOBODYS, 0, NULL},
    {"{\"id\":7,\"id\":8,\"result\":1}", INVALID, 7, NULL},
    {"{\"id\":7,\"id\":null,\"result\":1}", INVALID, 7, NULL},
    {"{\"id\":null,\"id\":7,\"result\":1}", NOBODYS, 0, NULL},
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
    /* broken, and yet the call can be identified */
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
    /* nearly plain */
    {"{\"jsonrpd\":\"2.1\",\"ie\":7,\"resulu\":1}", IGNORED, 0, NULL},
    {"{\"jsonrpc\"x\"2.0\",\"id\"x7,\"result\"x1}", IGNORED, 0, NULL},
    {"x\"id\":7,\"result\":1}", IGNORED, 0, NULL},
    {"{\"result\":1,\"id\":-}", IGNORED, 0, NULL},
    {"{\"id\":7,\"result\":[[[[[[[1]]]]]]]}", RESULT, 7, "[[[[[[[1]]]]]]]"},
    {"{\"id\":7,\"result\":[[[[[[[[1]]]]]]]]}", INVALID, 7, NULL},
    {"{\"id\" : 7 \t\r\n,\"result\":NaN}", INVALID, 7, NULL},
};

static const struct {
    const char *error;
    int64_t code;
} errors[] = {
    {"{\"code\":1}", 1},
    {"{\"message\":\"\",\"code\": -32601 ,\"data\":{\"code\":2}}", -32601},
    {"{\"c\\u006fde\":7}", 7},
    {"{\"code\":9223372036854775807}", INT64_MAX},
    {"{\"code\":-9223372036854775808}", INT64_MIN},
    {"{\"code\":-0}", 0},
    /* no remembered envelope, or none that fits */
    {"{\"code\":9223372036854775808}", 0},
    {"{\"code\":-9223372036854775809}", 0},
    {"{\"code\":92233720368547758070}", 0},
    {"{\"code\":1.0}", 0},
    {"{\"code\":1e3}", 0},
    {"{\"code\":\"1\"}", 0},
    {"{\"code\":null}", 0},
    {"{\"code\":1,\"code\":1}", 0},
    {"{\"data\":{\"code\":2}}", 0},
    {"[{\"code\":2}]", 0},
    {"\"code\"", 0},
    {"5", 0},
};

static void test_codes(void)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char payload[128];
        struct jrc_response got;
        int len = snprintf(payload, sizeof payload, "{\"id\":%s,\"error\":%s}",
                           i % 2 == 0 ? "7" : "null", errors[i].error);
        jrc_response_read(payload, (size_t)len, 8, &got);
        CHECK(got.kind ==
              (i % 2 == 0 ? JRC_RESPONSE_ERROR : JRC_RESPONSE_REJECTED));
        if (!CHECK(got.code == errors[i].code))
            printf("%s: %lld\n", errors[i].error, (long long)got.code);
    }
}

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

/* Read the text of a response in two ways: as it is, perhaps by the short cut
 * for the plain form; and with one more member in front, by the full reader. */
static bool reads_alike(const char *text, size_t len)
{
    static const char more[] = "{\"x\":0,";
    struct jrc_response plain, full;
    size_t full_len = len - 1 + sizeof more - 1;
    /* In memory that ends with the text, so that ASan sees what is read. */
    char *copy = malloc(len);
    char *longer = malloc(full_len);

    memcpy(copy, text, len);
    memcpy(longer, more, sizeof more - 1);
    memcpy(longer + sizeof more - 1, text + 1, len - 1);
    jrc_response_read(copy, len, 8, &plain);
    jrc_response_read(longer, full_len, 8, &full);
    bool alike = plain.kind == full.kind && plain.id == full.id &&
                 plain.json_len == full.json_len &&
                 (plain.json_len == 0 ||
                  memcmp(plain.json, full.json, plain.json_len) == 0);
    free(copy);
    free(longer);
    return alike;
}

/* The text of a response with one of its members repeated, at any place. */
static void test_no_member_occurs_twice(void)
{
    static const char *const members[] = {"\"jsonrpc\":\"2.0\"", "\"id\":7",
                                          "\"result\":1", "\"x\":1"};
    enum { COUNT = 4 };
    char text[200];

    for (int more = 0; more < COUNT; more++)
        for (int at = 0; at <= COUNT; at++) {
            struct jrc_response got;
            size_t len = 0;
            for (int i = 0; i <= COUNT; i++) {
                int member = i == at ? more : i - (i > at);
                len += (size_t)sprintf(text + len, "%s%s", i == 0 ? "{" : ",",
                                       members[member]);
            }
            text[len++] = '}';
            jrc_response_read(text, len, 8, &got);
            if (!CHECK((int)got.kind == (more < 3 ? INVALID : RESULT) &&
                       got.id == 7))
                printf("%.*s\n", (int)len, text);
        }
}

/* The plain form with a byte inserted, replaced or left out anywhere. */
static void test_the_short_cut_says_what_the_full_reader_says(void)
{
    static const char *const plain[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1023,\"result\":[1]}",
        "{ \"result\" : \"a\" ,\t\"id\" : 7 , \"jsonrpc\" : \"2.0\" }\n",
        "{\"id\":1234567890123456,\"jsonrpc\":\"2.0\",\"result\":0}",
        "{\"jsonrpc\":\"2.0\",\"result\":{},\"jsonrpc\":\"2.0\",\"id\":5}",
    };
    static const char bytes[] = " ,:\"01x{}[]\\\x01";
    char text[100];

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        size_t len = strlen(plain[i]);
        CHECK(reads_alike(plain[i], len));
        for (size_t at = 1; at < len; at++) {
            for (size_t b = 0; b < sizeof bytes; b++) {
                memcpy(text, plain[i], at);
                text[at] = bytes[b];
                memcpy(text + at + 1, plain[i] + at, len - at);
                CHECK(reads_alike(text, len + 1)); /* inserted */
                memcpy(text + at + 1, plain[i] + at + 1, len - at - 1);
                CHECK(reads_alike(text, len)); /* replaced */
            }
            memcpy(text, plain[i], at);
            memcpy(text + at, plain[i] + at + 1, len - at - 1);
            if (!CHECK(reads_alike(text, len - 1))) /* left out */
                printf("%.*s\n", (int)len - 1, text);
            CHECK(reads_alike(plain[i], at)); /* cut */
        }
    }
}

/* In memory of exactly its size, so that ASan sees what is read beyond. */
static size_t id_size(const char *text, size_t len, uint64_t *id)
{
    char *copy = malloc(len);

    if (copy == NULL)
        abort();
    memcpy(copy, text, len);
    const char *end = jrc_response_id(copy, copy + len, id);
    size_t size = end == NULL ? 0 : (size_t)(end - copy);
    free(copy);
    return size;
}

/* However many digits there are, whatever follows, and however much. */
static void test_ids_end_where_their_digits_do(void)
{
    static const char digits[] = "9182736450918273";
    char text[40];
    uint64_t id;

    for (size_t count = 1; count <= 16; count++)
        for (size_t more = 0; more < 10; more++)
            for (int byte = 0; byte < 256; byte++) {
                memset(text, byte, sizeof text);
                memcpy(text, digits, count);
                text[count] = (char)byte;
                bool goes_on = more > 0 && byte >= '0' && byte <= '9';
                if (goes_on)
                    continue;
                text[count + more] = '\0';
                if (!CHECK(id_size(text, count + more, &id) == count &&
                           id == strtoull(text, NULL, 10)))
                    printf("%.*s, then %zu of %d\n", (int)count, digits, more,
                           byte);
            }
    CHECK(id_size("91827364509182735", 17, &id) == 16 &&
          id == 9182736450918273);
    CHECK(id_size("0", 1, &id) == 0 && id_size("01234567", 8, &id) == 0);
    CHECK(id_size("x", 1, &id) == 0 && id_size("x1234567", 8, &id) == 0);
}

int main(void)
{
    test_responses();
    test_ids_end_where_their_digits_do();
    test_codes();
    test_no_member_occurs_twice();
    test_the_short_cut_says_what_the_full_reader_says();
    return check_done();
}
