/* What is remembered of a response, and how the next one uses it.  That this
 * changes no outcome is tested by fuzz_envelope.c. */
#include "wire/envelope.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V "\"jsonrpc\":\"2.0\""

static void read_text(struct jrc_envelope *envelope, const char *text,
                      struct jrc_response *response)
{
    jrc_envelope_read(envelope, text, strlen(text), 8, response);
}

static const struct {
    const char *text;
    const char *parts[3];
    bool id_first;
} kept[] = {
    {"{" V ",\"id\":7,\"result\":[1]}",
     {"{" V ",\"id\":", ",\"result\":", "}"},
     true},
    {"{\"result\": \"x\" , " V ", \"id\": 1234567890123456 }",
     {"{\"result\": ", " , " V ", \"id\": ", " }"},
     false},
    {"{\"error\":null,\"id\":\"12\",\"result\":null}\n",
     {"{\"error\":null,\"id\":\"", "\",\"result\":", "}\n"},
     true},
};

static void test_what_stands_around_id_and_result_is_kept(void)
{
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct jrc_envelope envelope = {0};
        struct jrc_response response;
        read_text(&envelope, kept[i].text, &response);
        CHECK(response.kind == JRC_RESPONSE_RESULT);
        const size_t sizes[] = {envelope.before, envelope.between,
                                envelope.after};
        for (int n = 0; n < 3; n++)
            CHECK(sizes[n] == strlen(kept[i].parts[n]) &&
                  memcmp(envelope.text[n], kept[i].parts[n], sizes[n]) == 0);
        CHECK(envelope.id_first == kept[i].id_first);
    }
}

static void test_only_a_result_is_remembered(void)
{
    static const char *const others[] = {
        "{" V ",\"id\":7,\"error\":{\"code\":1}}",
        "{" V ",\"id\":7,\"result\":01}",
        "{" V ",\"id\":null,\"result\":1}",
        "{" V ",\"method\":\"m\"}",
        "no JSON",
        "",
    };
    struct jrc_envelope envelope = {0}, before;
    struct jrc_response response;

    read_text(&envelope, "{\"id\":1,\"result\":2}", &response);
    before = envelope;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        read_text(&envelope, others[i], &response);
    CHECK(memcmp(&envelope, &before, sizeof envelope) == 0);
}

/* A part that is too long leaves the previous one as it was. */
static void test_parts_have_a_largest_size(void)
{
    for (size_t more = 0; more < 2 * JRC_ENVELOPE_PART; more++) {
        struct jrc_envelope envelope = {0};
        struct jrc_response response;
        char text[3 * JRC_ENVELOPE_PART];
        snprintf(text, sizeof text, "{%*s\"id\":5,\"result\":6}", (int)more,
                 more == 0 ? "" : " ");
        read_text(&envelope, text, &response);
        CHECK(response.id == 5 && response.json_len == 1);
        size_t size = strlen("{\"id\":") + more;
        CHECK(envelope.before == (size <= JRC_ENVELOPE_PART ? size : 0));
        read_text(&envelope, text, &response);
        CHECK(response.id == 5 && response.json_len == 1);
    }
}

/* The second payload is the first with a byte replaced, left out or added: the
 * same as without a memory. */
static void test_a_byte_makes_the_same_difference(void)
{
    static const char bytes[] = " ,:\"01x{}[]\\\x01";
    char text[200];

    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        size_t len = strlen(kept[i].text);
        for (size_t at = 0; at <= len; at++)
            for (size_t b = 0; b < 3 * sizeof bytes; b++) {
                struct jrc_envelope envelope = {0};
                struct jrc_response want, got;
                size_t kind = b / sizeof bytes; /* bytes of the text to skip */
                size_t from = at + kind < len ? at + kind : len;
                size_t n = at;
                memcpy(text, kept[i].text, at);
                if (kind < 2)
                    text[n++] = bytes[b % sizeof bytes];
                else if (from > at)
                    from = at + 1;
                memcpy(text + n, kept[i].text + from, len - from);
                n += len - from;
                read_text(&envelope, kept[i].text, &got);
                jrc_response_read(text, n, 8, &want);
                jrc_envelope_read(&envelope, text, n, 8, &got);
                CHECK(want.kind == got.kind && want.id == got.id &&
                      want.json == got.json && want.json_len == got.json_len &&
                      want.id_digits == got.id_digits);
            }
    }
}

int main(void)
{
    test_what_stands_around_id_and_result_is_kept();
    test_only_a_result_is_remembered();
    test_parts_have_a_largest_size();
    test_a_byte_makes_the_same_difference();
    return check_done();
}
