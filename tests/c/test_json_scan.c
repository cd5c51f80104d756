#include "check.h"
#include "wire/json_scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TEXT(literal) (literal), sizeof(literal) - 1
#define MAX_DEPTH 512

static const struct {
    const char *text;
    size_t len;
    enum jrc_json_type type;
} accepted[] = {
    {TEXT("null"), JRC_JSON_NULL},
    {TEXT("false"), JRC_JSON_FALSE},
    {TEXT("true"), JRC_JSON_TRUE},
    {TEXT("0"), JRC_JSON_NUMBER},
    {TEXT("-0"), JRC_JSON_NUMBER},
    {TEXT("42"), JRC_JSON_NUMBER},
    {TEXT("-1"), JRC_JSON_NUMBER},
    {TEXT("0e1"), JRC_JSON_NUMBER},
    {TEXT("0E+1"), JRC_JSON_NUMBER},
    {TEXT("1e-2"), JRC_JSON_NUMBER},
    {TEXT("1.5e+09"), JRC_JSON_NUMBER},
    {TEXT("-0.0001"), JRC_JSON_NUMBER},
    {TEXT("123e45678901234567890"), JRC_JSON_NUMBER},
    {TEXT("100000000000000000000000000000000000000000000"), JRC_JSON_NUMBER},
    {TEXT("\"\""), JRC_JSON_STRING},
    {TEXT("\" \""), JRC_JSON_STRING},
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\""), JRC_JSON_STRING},
    {TEXT("\"\\u0000\""), JRC_JSON_STRING},
    {TEXT("\"\\ud801\\udc37\""), JRC_JSON_STRING},
    {TEXT("\"\\ud800\""), JRC_JSON_STRING},
    {TEXT("\"\\uDC00\\uD800x\""), JRC_JSON_STRING},
    {TEXT("\"\x7F/*\""), JRC_JSON_STRING},
    {TEXT("\"\\\\\""), JRC_JSON_STRING},
    {TEXT("\"\xCF\x80 \xE2\x82\xAC \xF0\x9D\x84\x9E\""), JRC_JSON_STRING},
    {TEXT("[]"), JRC_JSON_ARRAY},
    {TEXT("[[],[[]],{}]"), JRC_JSON_ARRAY},
    {TEXT("[null,1,\"1\",{},true,false,-1.0e1]"), JRC_JSON_ARRAY},
    {TEXT(" \t\r\n[ \t\r\n] \t\r\n"), JRC_JSON_ARRAY},
    {TEXT("[ 1 , 2 ]"), JRC_JSON_ARRAY},
    {TEXT("{}"), JRC_JSON_OBJECT},
    {TEXT("{ }"), JRC_JSON_OBJECT},
    {TEXT("{\"\":0}"), JRC_JSON_OBJECT},
    {TEXT("{\"a\":1,\"a\":1}"), JRC_JSON_OBJECT},
    {TEXT("{\"a\\u0000b\":1}"), JRC_JSON_OBJECT},
    {TEXT("{ \"a\" : { \"b\" : [ ] } , \"c\" : 1 }"), JRC_JSON_OBJECT},
    {TEXT("{\"jsonrpc\":\"2.0\",\"id\":70001,\"result\":{\"id\":1234,"
          "\"name\":\"Petros\",\"roles\":[\"admin\",\"user\"]}}"),
     JRC_JSON_OBJECT},
};

static const struct {
    const char *text;
    size_t len;
    enum jrc_json_error error;
    size_t at;
} refused[] = {
    {TEXT(""), JRC_JSON_SYNTAX, 0},
    {TEXT(" "), JRC_JSON_SYNTAX, 1},
    {TEXT("\0"), JRC_JSON_SYNTAX, 0},
    {TEXT("1 2"), JRC_JSON_SYNTAX, 2},
    {TEXT("[]\0"), JRC_JSON_SYNTAX, 2},
    {TEXT("[][]"), JRC_JSON_SYNTAX, 2},
    {TEXT("[]]"), JRC_JSON_SYNTAX, 2},
    {TEXT("{}#"), JRC_JSON_SYNTAX, 2},
    {TEXT("]"), JRC_JSON_SYNTAX, 0},
    {TEXT("\"x\"/**/"), JRC_JSON_SYNTAX, 3},
    {TEXT("\xEF\xBB\xBF{}"), JRC_JSON_SYNTAX, 0},
    {TEXT("\xEF\xBB"), JRC_JSON_SYNTAX, 0},
    {TEXT("\xC2\xA0[]"), JRC_JSON_SYNTAX, 0},
    {TEXT("\f[]"), JRC_JSON_SYNTAX, 0},
    {TEXT("[\v1]"), JRC_JSON_SYNTAX, 1},
    {TEXT("[1\xE2\x81\xA0]"), JRC_JSON_SYNTAX, 2},

    {TEXT("nul"), JRC_JSON_SYNTAX, 3},
    {TEXT("nulL"), JRC_JSON_SYNTAX, 3},
    {TEXT("True"), JRC_JSON_SYNTAX, 0},
    {TEXT("truth"), JRC_JSON_SYNTAX, 3},
    {TEXT("trued"), JRC_JSON_SYNTAX, 4},
    {TEXT("falsy"), JRC_JSON_SYNTAX, 4},
    {TEXT("NaN"), JRC_JSON_SYNTAX, 0},
    {TEXT("-Infinity"), JRC_JSON_SYNTAX, 1},
    {TEXT("undefined"), JRC_JSON_SYNTAX, 0},

    {TEXT("-"), JRC_JSON_SYNTAX, 1},
    {TEXT("--1"), JRC_JSON_SYNTAX, 1},
    {TEXT("- 1"), JRC_JSON_SYNTAX, 1},
    {TEXT("+1"), JRC_JSON_SYNTAX, 0},
    {TEXT("01"), JRC_JSON_SYNTAX, 1},
    {TEXT("-012"), JRC_JSON_SYNTAX, 2},
    {TEXT(".5"), JRC_JSON_SYNTAX, 0},
    {TEXT("1."), JRC_JSON_SYNTAX, 2},
    {TEXT("1.e1"), JRC_JSON_SYNTAX, 2},
    {TEXT("1.5."), JRC_JSON_SYNTAX, 3},
    {TEXT("1e"), JRC_JSON_SYNTAX, 2},
    {TEXT("1e+"), JRC_JSON_SYNTAX, 3},
    {TEXT("1e+-1"), JRC_JSON_SYNTAX, 3},
    {TEXT("1e1.5"), JRC_JSON_SYNTAX, 3},
    {TEXT("1e1e1"), JRC_JSON_SYNTAX, 3},
    {TEXT("[1 000]"), JRC_JSON_SYNTAX, 3},
    {TEXT("0x1F"), JRC_JSON_SYNTAX, 1},
    {TEXT("[1a]"), JRC_JSON_SYNTAX, 2},
    {TEXT("[1:2]"), JRC_JSON_SYNTAX, 2},
    {TEXT("\xEF\xBC\x91"), JRC_JSON_SYNTAX, 0},

    {TEXT("\""), JRC_JSON_SYNTAX, 1},
    {TEXT("\"a"), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\\\""), JRC_JSON_SYNTAX, 3},
    {TEXT("\"\\"), JRC_JSON_SYNTAX, 2},
    {TEXT("'a'"), JRC_JSON_SYNTAX, 0},
    {TEXT("\"\\a\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\\x00\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\\U0041\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\\\0\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\\\xC3\xA9\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\\u00A"), JRC_JSON_SYNTAX, 6},
    {TEXT("\"\\u00Ag\""), JRC_JSON_SYNTAX, 6},
    {TEXT("\"\\u+041\""), JRC_JSON_SYNTAX, 3},
    {TEXT("\"\\uD834\\u\""), JRC_JSON_SYNTAX, 9},
    {TEXT("\"a\tb\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"a\nb\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"a\0b\""), JRC_JSON_SYNTAX, 2},
    {TEXT("\"\x1F\""), JRC_JSON_SYNTAX, 1},

    {TEXT("["), JRC_JSON_SYNTAX, 1},
    {TEXT("[,1]"), JRC_JSON_SYNTAX, 1},
    {TEXT("[1,]"), JRC_JSON_SYNTAX, 3},
    {TEXT("[1,,2]"), JRC_JSON_SYNTAX, 3},
    {TEXT("[1}"), JRC_JSON_SYNTAX, 2},
    {TEXT("[\"a\":1]"), JRC_JSON_SYNTAX, 4},
    {TEXT("[1 true]"), JRC_JSON_SYNTAX, 3},
    {TEXT("[/**/]"), JRC_JSON_SYNTAX, 1},
    {TEXT("{"), JRC_JSON_SYNTAX, 1},
    {TEXT("{]"), JRC_JSON_SYNTAX, 1},
    {TEXT("{,}"), JRC_JSON_SYNTAX, 1},
    {TEXT("{1:1}"), JRC_JSON_SYNTAX, 1},
    {TEXT("{a:1}"), JRC_JSON_SYNTAX, 1},
    {TEXT("{'a':1}"), JRC_JSON_SYNTAX, 1},
    {TEXT("{\"a\"}"), JRC_JSON_SYNTAX, 4},
    {TEXT("{\"a\",1}"), JRC_JSON_SYNTAX, 4},
    {TEXT("{\"a\"::1}"), JRC_JSON_SYNTAX, 5},
    {TEXT("{\"a\":}"), JRC_JSON_SYNTAX, 5},
    {TEXT("{\"a\" 1}"), JRC_JSON_SYNTAX, 5},
    {TEXT("{\"a\":1,}"), JRC_JSON_SYNTAX, 7},
    {TEXT("{\"a\":1,,\"b\":2}"), JRC_JSON_SYNTAX, 7},
    {TEXT("{\"a\":1]"), JRC_JSON_SYNTAX, 6},
    {TEXT("{\"a\":1 \"b\":2}"), JRC_JSON_SYNTAX, 7},
    {TEXT("{\"a\":1;\"b\":2}"), JRC_JSON_SYNTAX, 6},
    {TEXT("[{\"a\":[1}]"), JRC_JSON_SYNTAX, 8},

    {TEXT("\"\x80\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xBF\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xC0\x80\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xC1\xBF\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xC3\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xC3(\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xC3\xC3\xA9\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xE0\x9F\xBF\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xE2\x82\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xE2\x28\xA1\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xED\xA0\x80\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xED\xBF\xBF\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xF0\x8F\xBF\xBF\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xF0\x9F\x98\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xF4\x90\x80\x80\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xF5\x80\x80\x80\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xFE\""), JRC_JSON_UTF8, 1},
    {TEXT("\"\xFF\""), JRC_JSON_UTF8, 1},
    {TEXT("\"ok \xCF\x80\xE9\""), JRC_JSON_UTF8, 6},
    {TEXT("{\"\xE9\":1}"), JRC_JSON_UTF8, 2},
};

/* text[0..len) between that many spaces, in a copy of exactly its size, so that
 * ASan sees over-reads. */
static bool scan_copy(const char *text, size_t len, size_t before, size_t after,
                      struct jrc_json_report *report)
{
    size_t size = before + len + after;
    char *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memset(copy, ' ', size);
    memcpy(copy + before, text, len);
    bool ok = jrc_json_scan(copy, size, MAX_DEPTH, NULL, 0, report);
    /* The same by the end of the value, where nothing precedes it. */
    const char *end = jrc_json_value_end(copy + before, copy + size, MAX_DEPTH);
    bool starts = len > 0 && memchr(" \t\r\n", text[0], 4) == NULL;
    while (end != NULL && end < copy + size && memchr(" \t\r\n", *end, 4))
        end++;
    if (!CHECK((end == copy + size) == (ok && starts)))
        printf("  %s: %zu of %zu\n", text, end ? (size_t)(end - copy) : 0,
               size);
    free(copy);
    return ok;
}

/* If valid text is cut, the error is at the cut, except in UTF-8, where it is
 * at the sequence's first byte. */
static bool is_cut_at(const struct jrc_json_report *report, size_t len)
{
    if (report->error == JRC_JSON_UTF8)
        return report->at < len && report->at + 3 >= len;
    return report->error == JRC_JSON_SYNTAX && report->at == len;
}

static void accepted_wherever_they_lie(void)
{
    struct jrc_json_report report;

    for (size_t i = 0; i < COUNT(accepted); i++) {
        const char *text = accepted[i].text;
        size_t len = accepted[i].len;
        for (size_t pad = 0; pad < 36; pad++) {
            if (!CHECK(scan_copy(text, len, pad / 2, pad % 18, &report)))
                printf("  %s: %s at %zu\n", text, report.rule, report.at);
            CHECK(report.error == JRC_JSON_OK && report.rule == NULL);
            CHECK(report.type == accepted[i].type);
        }
        for (size_t cut = 0; cut < len; cut++)
            if (!scan_copy(text, cut, 0, 0, &report) &&
                !CHECK(is_cut_at(&report, cut)))
                printf("  %s, first %zu bytes: %zu\n", text, cut, report.at);
    }
}

static void refused_where_they_go_wrong(void)
{
    struct jrc_json_report report;

    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *text = refused[i].text;
        size_t at = refused[i].at;
        for (size_t pad = 0; pad < 18; pad++) {
            CHECK(!scan_copy(text, refused[i].len, pad, 0, &report));
            if (!CHECK(report.error == refused[i].error &&
                       report.at == pad + at))
                printf("  %s: %s at %zu\n", text, report.rule, report.at);
            CHECK(report.rule && report.type == JRC_JSON_NONE);
        }
        for (size_t cut = 0; cut < refused[i].len; cut++) {
            bool ok = scan_copy(text, cut, 0, 0, &report);
            if (cut > at)
                CHECK(!ok && report.error == refused[i].error &&
                      report.at == at);
            else
                CHECK(ok || is_cut_at(&report, cut));
        }
    }
}

/* A string of each length with each kind of byte at each place, so that the
 * byte is met in every place of a block and in what is left after the last. */
static void special_bytes_anywhere_in_a_string(void)
{
    static const struct {
        const char *bytes;
        enum jrc_json_error error;
        size_t at; /* from the first byte on */
    } specials[] = {
        {"\\n", JRC_JSON_OK, 0},          {"\xC3\xA9", JRC_JSON_OK, 0},
        {"\\\"", JRC_JSON_OK, 0},         {"\\\\", JRC_JSON_OK, 0},
        {"\"\"", JRC_JSON_SYNTAX, 1},     {"\"x", JRC_JSON_SYNTAX, 1},
        {"\\x", JRC_JSON_SYNTAX, 1},      {"x\x1F", JRC_JSON_SYNTAX, 1},
        {"\x1F\x1F", JRC_JSON_SYNTAX, 0}, {"\n\n", JRC_JSON_SYNTAX, 0},
        {"\x80\x80", JRC_JSON_UTF8, 0},   {"\xC3x", JRC_JSON_UTF8, 0},
        {"\x7F ", JRC_JSON_OK, 0},        {"x\xFF", JRC_JSON_UTF8, 1},
        {"#!", JRC_JSON_OK, 0},           {"[]", JRC_JSON_OK, 0},
    };
    struct jrc_json_report report;
    char text[80];

    for (size_t len = 2; len < 70; len++)
        for (size_t place = 0; place + 2 <= len; place++)
            for (size_t i = 0; i < COUNT(specials); i++) {
                memset(text, 'a', sizeof text);
                text[0] = text[len + 1] = '"';
                memcpy(text + 1 + place, specials[i].bytes, 2);
                scan_copy(text, len + 2, len % 16, 0, &report);
                CHECK(report.error == specials[i].error);
                CHECK(report.error == JRC_JSON_OK ||
                      report.at == len % 16 + 1 + place + specials[i].at);
            }
}

/* As in RFC 3629, including surrogates and what is beyond Unicode. */
static size_t encode(unsigned point, char *out)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    out[0] = (char)(marks[size] | point);
    return size;
}

static void every_code_point(void)
{
    unsigned wrong = 0;

    for (unsigned point = 0x80; point < 0x140000; point++) {
        struct jrc_json_report report;
        char text[8] = "\"";
        size_t size = encode(point, text + 1);
        bool legal = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
        text[1 + size] = '"';
        wrong += jrc_json_scan(text, size + 2, 0, NULL, 0, &report) != legal;
    }
    CHECK(wrong == 0);
}

/* Containers in containers, one of each kind by the bits of a number, closed
 * again; a name stands before each but the first if it is in an object. */
static char *nest(unsigned depth, uint64_t kinds, size_t *len)
{
    char *text = calloc(depth, 6), *p = text;

    if (!text)
        abort();
    for (unsigned i = 0; i < depth; i++) {
        bool in_object = i > 0 && (kinds >> (i - 1) % 64 & 1);
        memcpy(p, "\"n\":", 4);
        p += in_object ? 4 : 0;
        *p++ = kinds >> i % 64 & 1 ? '{' : '[';
    }
    for (unsigned i = depth; i-- > 0;)
        *p++ = kinds >> i % 64 & 1 ? '}' : ']';
    *len = (size_t)(p - text);
    return text;
}

static void check_depth(unsigned depth, unsigned max_depth, uint64_t kinds)
{
    unsigned limit =
        max_depth < JRC_JSON_DEPTH_MAX ? max_depth : JRC_JSON_DEPTH_MAX;
    struct jrc_json_report report;
    size_t len = 0;
    char *text = nest(depth, kinds, &len);
    bool ok = jrc_json_scan(text, len, max_depth, NULL, 0, &report);

    CHECK(ok == (depth <= limit));
    if (!ok && CHECK(report.error == JRC_JSON_DEPTH)) {
        CHECK(text[report.at] == (kinds >> limit % 64 & 1 ? '{' : '['));
        CHECK(kinds != 0 || report.at == limit);
    }
    for (size_t wrong = len - depth; ok && wrong < len; wrong++) {
        text[wrong] ^= '}' ^ ']';
        CHECK(!jrc_json_scan(text, len, max_depth, NULL, 0, &report));
        CHECK(report.error == JRC_JSON_SYNTAX && report.at == wrong);
        text[wrong] ^= '}' ^ ']';
        wrong += depth / 200; /* a sample, where there are very many */
    }
    free(text);
}

static void depth_is_limited(void)
{
    static const unsigned limits[] = {1,   2,   63,   64,   65,   127,
                                      128, 129, 4095, 4096, 4097, ~0u};
    static const uint64_t kinds[] = {0, ~UINT64_C(0), 0x5555555555555555,
                                     0x123456789ABCDEF1, UINT64_C(1) << 63};

    for (size_t i = 0; i < COUNT(limits); i++)
        for (size_t k = 0; k < COUNT(kinds); k++)
            for (unsigned more = 0; more < 3; more++) {
                unsigned limit = limits[i] < 5000 ? limits[i] : 4096;
                check_depth(limit + more - 1 + (limit == 1), limits[i],
                            kinds[k]);
            }
    check_depth(100000, 512, 0);
}

static void no_container_at_depth_0(void)
{
    struct jrc_json_report report;

    CHECK(jrc_json_scan("1", 1, 0, NULL, 0, &report));
    CHECK(!jrc_json_scan("[]", 2, 0, NULL, 0, &report));
    CHECK(report.error == JRC_JSON_DEPTH && report.at == 0);
    CHECK(!jrc_json_scan(NULL, 0, 0, NULL, 0, &report));
    CHECK(report.error == JRC_JSON_SYNTAX && report.at == 0);
}

int main(void)
{
    accepted_wherever_they_lie();
    refused_where_they_go_wrong();
    special_bytes_anywhere_in_a_string();
    every_code_point();
    depth_is_limited();
    no_container_at_depth_0();
    return check_done();
}
