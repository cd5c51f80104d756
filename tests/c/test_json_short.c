/* Short texts: what is usual is accepted at a glance, what is not takes a
 * closer look, and nothing is accepted that the scanner refuses. */
#include "check.h"
#include "wire/json_scan.h"
#include "wire/json_short.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { MAX_DEPTH = 512, TOKENS = 6 };

/* Where it ends; 0: it takes a closer look.  In memory of exactly its size, so
 * that ASan sees what is read beyond. */
static size_t end_of(const char *text, size_t len)
{
    unsigned char *copy = malloc(len);

    if (copy == NULL)
        abort();
    memcpy(copy, text, len);
    bool is_short = jrc_json_is_short(copy, len, MAX_DEPTH);
    const unsigned char *end = is_short ? jrc_json_short_end(copy, len) : NULL;
    size_t size = end == NULL ? 0 : (size_t)(end - copy);
    free(copy);
    return size;
}

static bool is_accepted(const char *text, size_t len)
{
    struct jrc_json_report report;

    return jrc_json_scan(text, len, MAX_DEPTH, NULL, 0, &report);
}

/* Without this, every text would take a closer look, and all would be well. */
static void the_usual_is_accepted(void)
{
    static const char *const usual[] = {
        "{\"id\":1234,\"name\":\"Petros\",\"roles\":[\"admin\",\"user\"]}",
        "{\"id\":1234}",
        "{\"a\": 1, \"b\": \"c\", \"d\": [1, 2]}",
        "[true,false,null]",
        "[0,-1,12.50,1234567890]",
        "[\"\",{},[],[[]],{\"\":\"\"}]",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "[\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789\"]",
    };

    for (size_t i = 0; i < COUNT(usual); i++) {
        size_t len = strlen(usual[i]);
        if (!CHECK(end_of(usual[i], len) == len))
            printf("  %s\n", usual[i]);
        CHECK(is_accepted(usual[i], len));
    }
}

static void the_unusual_takes_a_closer_look(void)
{
    static const char *const unusual[] = {
        "[\"\\u0041\"]",
        "{\"\xC3\xA9\":1,\"a\":2}",
        "[\"a\x1F\",1]",
        "[1e5,1,2]",
        "[1 ,2, 3]",
        "[ 1,\n 2]",
        "[\"abcdef\"", /* no bracket at its end */
        "\"[abcde]\"",
        "[12345]", /* shorter than what is read at once */
        "[\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc\"]",
    };

    for (size_t i = 0; i < COUNT(unusual); i++)
        if (!CHECK(end_of(unusual[i], strlen(unusual[i])) == 0))
            printf("  %s\n", unusual[i]);
    CHECK(!jrc_json_is_short((const unsigned char *)"[[[[]]]]", 8,
                             JRC_JSON_SHORT_DEPTH - 1));
}

static void ends_before_what_follows(void)
{
    CHECK(end_of("[1],[2],[3]", 11) == 3);
    CHECK(end_of("{\"a\":{}}}}]", 11) == 8);
}

/* Every sequence of up to that many tokens, in every pair of brackets: it is
 * accepted if and only if the scanner, which reads it byte by byte, accepts
 * it. */
static void all_that_tokens_can_say(void)
{
    static const char *const tokens[] = {
        "{", "}", "[", "]", ",", ":", "\"ab\"", "12", "-0.5", "01", "true", "",
    };
    static const char *const brackets[] = {"[]", "{}", "[}", "{]"};
    size_t digits[TOKENS] = {0};
    char text[JRC_JSON_SHORT_MOST];
    size_t accepted = 0;

    for (size_t at = 0; at < TOKENS;) {
        size_t len = 1;
        for (size_t i = 0; i < TOKENS; i++) {
            size_t size = strlen(tokens[digits[i]]);
            memcpy(text + len, tokens[digits[i]], size);
            len += size;
        }
        for (size_t i = 0; i < COUNT(brackets); i++) {
            const unsigned char *p = (const unsigned char *)text;
            text[0] = brackets[i][0];
            text[len] = brackets[i][1];
            if (!jrc_json_is_short(p, len + 1, MAX_DEPTH))
                continue;
            const unsigned char *end = jrc_json_short_end(p, len + 1);
            bool whole = end == p + len + 1;
            if (whole != is_accepted(text, len + 1) ||
                (end != NULL && !is_accepted(text, (size_t)(end - p)))) {
                CHECK(!"the scanner says otherwise");
                printf("  %.*s\n", (int)len + 1, text);
            }
            accepted += whole;
        }
        for (at = 0; at < TOKENS && ++digits[at] == COUNT(tokens); at++)
            digits[at] = 0;
    }
    CHECK(accepted > 1000);
}

int main(void)
{
    if (!jrc_json_is_short((const unsigned char *)"[[[[]]]]", 8, MAX_DEPTH)) {
        printf("skipped: there is no SSE2\n");
        return 0;
    }
    the_usual_is_accepted();
    the_unusual_takes_a_closer_look();
    ends_before_what_follows();
    all_that_tokens_can_say();
    return check_done();
}
