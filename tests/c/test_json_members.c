#include "check.h"
#include "wire/json_recover.h"
#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define TEXT(literal) (literal), sizeof(literal) - 1

enum { ID, RESULT, MEMBERS };

static const struct jrc_json_member wanted[MEMBERS] = {
    [ID] = {.name = "id", .name_len = 2},
    [RESULT] = {.name = "result", .name_len = 6},
};

/* What is reported about a member: its type, count and span; {0} if it is
 * absent. */
struct expectation {
    enum jrc_json_type type;
    unsigned count;
    const char *text;
};

static const struct {
    const char *text;
    size_t len;
    struct expectation want[MEMBERS];
} scanned[] = {
    {TEXT("{}"), {{0}}},
    {TEXT("[]"), {{0}}},
    {TEXT("[{\"id\":1}]"), {{0}}},
    {TEXT("\"id\""), {{0}}},
    {TEXT("{\"id\":7,\"result\":19}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_NUMBER, 1, "19"}}},
    {TEXT("{\"result\":null,\"id\":\"x\"}"),
     {{JRC_JSON_STRING, 1, "\"x\""}, {JRC_JSON_NULL, 1, "null"}}},
    {TEXT("{\"id\":true,\"result\":false}"),
     {{JRC_JSON_TRUE, 1, "true"}, {JRC_JSON_FALSE, 1, "false"}}},
    {TEXT("{\"id\":[],\"result\":{}}"),
     {{JRC_JSON_ARRAY, 1, "[]"}, {JRC_JSON_OBJECT, 1, "{}"}}},
    {TEXT(" { \"id\" : 7 , \"result\" : [ 1 , 2 ] } "),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_ARRAY, 1, "[ 1 , 2 ]"}}},
    {TEXT("\t{\r\n\"id\"\t:\r\n-1.5e+3\n}\n"),
     {{JRC_JSON_NUMBER, 1, "-1.5e+3"}}},
    {TEXT("{\"id\":\"a\\\"b,}\",\"x\":1}"),
     {{JRC_JSON_STRING, 1, "\"a\\\"b,}\""}}},
    {TEXT("{\"id\":123456789012345678901234567890123456789012345678901}"),
     {{JRC_JSON_NUMBER, 1,
       "123456789012345678901234567890123456789012345678901"}}},
    /* only the members of the top-level object */
    {TEXT("{\"result\":{\"id\":1,\"result\":2,\"r\":[{\"id\":3}]},\"id\":4}"),
     {{JRC_JSON_NUMBER, 1, "4"},
      {JRC_JSON_OBJECT, 1, "{\"id\":1,\"result\":2,\"r\":[{\"id\":3}]}"}}},
    {TEXT("{\"x\":{\"id\":1}}"), {{0}}},
    {TEXT("{\"x\":[\"id\",{\"id\":1}],\"y\":\"id\"}"), {{0}}},
    /* names */
    {TEXT("{\"ID\":1,\"Id\":1,\"idx\":1,\"i\":1,\"\":1,\"id \":1}"), {{0}}},
    {TEXT("{\"resulT\":1,\"results\":1,\"resul\":1}"), {{0}}},
    {TEXT("{\"i\\u0064\":1}"), {{JRC_JSON_NUMBER, 1, "1"}}},
    {TEXT("{\"\\u0069\\u0064\":1}"), {{JRC_JSON_NUMBER, 1, "1"}}},
    {TEXT("{\"r\\u0065sul\\u0074\":[1]}"),
     {[RESULT] = {JRC_JSON_ARRAY, 1, "[1]"}}},
    {TEXT("{\"id\\u0000\":1,\"id\\n\":2,\"\\\\id\":3,\"i\\/d\":4}"), {{0}}},
    {TEXT("{\"i\\u0164\":1,\"i\\uD864\":1}"), {{0}}},
    /* repeated */
    {TEXT("{\"id\":1,\"id\":2}"), {{JRC_JSON_NUMBER, 2, "1"}}},
    {TEXT("{\"id\":1,\"result\":0,\"i\\u0064\":[],\"\\u0069d\":{}}"),
     {{JRC_JSON_NUMBER, 3, "1"}, {JRC_JSON_NUMBER, 1, "0"}}},
    {TEXT("{\"id\":{\"id\":1},\"id\":2}"),
     {{JRC_JSON_OBJECT, 2, "{\"id\":1}"}}},
};

static const struct {
    const char *text;
    size_t len;
    struct expectation want[MEMBERS];
} salvaged[] = {
    {TEXT(""), {{0}}},
    {TEXT("{"), {{0}}},
    {TEXT("[{\"id\":1}]"), {{0}}},
    {TEXT("x{\"id\":1}"), {{0}}},
    {TEXT("\"{\\\"id\\\":1}\""), {{0}}},
    /* what was refused */
    {TEXT("{\"id\":7,\"result\":[1,]}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_ARRAY, 1, "[1,]"}}},
    {TEXT("{\"result\":{'a':NaN},\"id\":7}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_OBJECT, 1, "{'a':NaN}"}}},
    {TEXT("{\"result\":\"\xE9\xFF\",\"id\":7}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_STRING, 1, "\"\xE9\xFF\""}}},
    {TEXT("{\"result\":\"a\nb\",\"id\":7,}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_STRING, 1, "\"a\nb\""}}},
    {TEXT("{\"result\":NaN,\"id\":7}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_NONE, 1, "NaN"}}},
    {TEXT("\xEF\xBB\xBF {\"id\":7}"), {{JRC_JSON_NUMBER, 1, "7"}}},
    {TEXT("{\"id\":7}]}"), {{JRC_JSON_NUMBER, 1, "7"}}},
    {TEXT("{\"id\":7,\"result\":[1,2"), {{JRC_JSON_NUMBER, 1, "7"}}},
    {TEXT("{\"result\":[[[[[[[[{\"id\":1}]]]]]]]],\"id\":\"7\"}"),
     {{JRC_JSON_STRING, 1, "\"7\""},
      {JRC_JSON_ARRAY, 1, "[[[[[[[[{\"id\":1}]]]]]]]]"}}},
    {TEXT("{\"result\":\"\\\",\\\"id\\\":1,[{\",\"id\":7"),
     {[RESULT] = {JRC_JSON_STRING, 1, "\"\\\",\\\"id\\\":1,[{\""}}},
    {TEXT(" {,\"x\",\"id\" : 7 ,:,x:1,\"i\":2,\"result\":\t[ ] \r\n}"),
     {{JRC_JSON_NUMBER, 1, "7"}, {JRC_JSON_ARRAY, 1, "[ ]"}}},
    {TEXT("{\"id\":7 8,\"result\":tru}"),
     {{JRC_JSON_NUMBER, 1, "7 8"}, {JRC_JSON_TRUE, 1, "tru"}}},
    /* names */
    {TEXT("{\"\\u0069d\":7,}"), {{JRC_JSON_NUMBER, 1, "7"}}},
    {TEXT("{\"i\\u00-64\":7,\"\\uid\":7,\"i\\u006\":7,\"id\\\":7,"), {{0}}},
    {TEXT("{\"x\":{\"id\":1},\"y\":[\"id\",{\"id\":2}],}"), {{0}}},
    {TEXT("{\"id\":7,\"id\":8,}"), {{JRC_JSON_NUMBER, 2, "7"}}},
    {TEXT("{\"x\" \"id\":7}"), {{0}}},
    /* cut off, or too odd to tell */
    {TEXT("{\"id\":12"), {{0}}},
    {TEXT("{\"id\":\"12"), {{0}}},
    {TEXT("{\"id\":\"12\\"), {{0}}},
    {TEXT("{\"id\""), {{0}}},
    {TEXT("{\"id"), {{0}}},
    {TEXT("{\"id\":"), {{0}}},
    {TEXT("{\"id\":}"), {{0}}},
    {TEXT("{\"id\": ,\"result\":1}"), {[RESULT] = {JRC_JSON_NUMBER, 1, "1"}}},
    {TEXT("{\"result\":[1},\"id\":7}"), {{0}}},
    {TEXT("{\"result\":{\"a\":[1]],\"id\":7},\"id\":8}"), {{0}}},
    {TEXT("{\"id\":7]}"), {{0}}},
};

static void check_members(const struct jrc_json_member *members,
                          const struct expectation *want, const char *text)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        size_t len = want[i].text ? strlen(want[i].text) : 0;
        if (!CHECK(members[i].type == want[i].type &&
                   members[i].count == want[i].count && members[i].len == len &&
                   !members[i].text == !want[i].text))
            printf("  %s of %s\n", members[i].name, text);
        else if (len > 0)
            CHECK(memcmp(members[i].text, want[i].text, len) == 0);
    }
}

static void members_of_what_is_accepted(void)
{
    for (size_t i = 0; i < COUNT(scanned); i++) {
        struct jrc_json_member members[MEMBERS];
        struct jrc_json_report report;
        memcpy(members, wanted, sizeof wanted);
        CHECK(jrc_json_scan(scanned[i].text, scanned[i].len, 8, members,
                            MEMBERS, &report));
        check_members(members, scanned[i].want, scanned[i].text);
    }
}

static void names_of_any_ascii(void)
{
    static const char text[] =
        "{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u007F\":1,\"a\\/b/c\":2,\"\\u0000\":3}";
    struct jrc_json_member members[] = {
        {.name = "\"\\/\b\f\n\r\t\x7F", .name_len = 9},
        {.name = "a/b/c", .name_len = 5},
        {.name = "", .name_len = 1},
        {.name = "", .name_len = 0},
    };
    struct jrc_json_report report;

    CHECK(jrc_json_scan(TEXT(text), 1, members, COUNT(members), &report));
    for (size_t i = 0; i < 3; i++)
        CHECK(members[i].count == 1 && members[i].text[0] == (char)('1' + i));
    CHECK(members[3].count == 0);
}

/* Any bytes may be searched: these contain no member, and nothing beyond them
 * is read. */
static void names_cut_within_an_escape(void)
{
    static const char *const names[] = {"\\", "\\u", "id\\", "i\\u006",
                                        "\\u0069\\"};

    for (size_t i = 0; i < COUNT(names); i++) {
        struct jrc_json_member members[MEMBERS];
        size_t len = strlen(names[i]);
        unsigned char *copy = malloc(len);
        if (!copy)
            abort();
        memcpy(copy, names[i], len);
        memcpy(members, wanted, sizeof wanted);
        CHECK(!jrc_json_members_find(members, MEMBERS, copy, len));
        free(copy);
    }
}

/* Even if what was read before was valid. */
static void no_members_of_what_is_refused(void)
{
    static const struct expectation nothing[MEMBERS];

    for (size_t i = 0; i < COUNT(scanned); i++)
        for (size_t len = 0; len < scanned[i].len - 2; len++) {
            struct jrc_json_member members[MEMBERS];
            struct jrc_json_report report;
            char *copy = malloc(len ? len : 1);
            if (!copy)
                abort();
            memcpy(copy, scanned[i].text, len);
            memcpy(members, wanted, sizeof wanted);
            CHECK(!jrc_json_scan(copy, len, 8, members, MEMBERS, &report));
            check_members(members, nothing, scanned[i].text);
            free(copy);
        }
}

/* As it must, for texts that the scan refused only for their depth. */
static void salvage_agrees_with_the_scan(void)
{
    for (size_t i = 0; i < COUNT(scanned); i++) {
        struct jrc_json_member members[MEMBERS];
        memcpy(members, wanted, sizeof wanted);
        jrc_json_salvage(scanned[i].text, scanned[i].len, members, MEMBERS);
        check_members(members, scanned[i].want, scanned[i].text);
    }
}

static void salvage_finds_what_is_plain_to_see(void)
{
    for (size_t i = 0; i < COUNT(salvaged); i++) {
        struct jrc_json_member members[MEMBERS];
        memcpy(members, wanted, sizeof wanted);
        bool found = jrc_json_salvage(salvaged[i].text, salvaged[i].len,
                                      members, MEMBERS);
        CHECK(found == (members[ID].count + members[RESULT].count > 0));
        check_members(members, salvaged[i].want, salvaged[i].text);
    }
}

/* A truncated text never yields a value that the whole text does not have. */
static void salvage_of_every_prefix(void)
{
    for (size_t i = 0; i < COUNT(salvaged); i++)
        for (size_t len = 0; len < salvaged[i].len; len++) {
            struct jrc_json_member members[MEMBERS];
            char *copy = malloc(len ? len : 1);
            if (!copy)
                abort();
            memcpy(copy, salvaged[i].text, len);
            memcpy(members, wanted, sizeof wanted);
            jrc_json_salvage(copy, len, members, MEMBERS);
            for (size_t m = 0; m < MEMBERS; m++) {
                const struct expectation *want = &salvaged[i].want[m];
                CHECK(members[m].count <= want->count);
                if (members[m].count > 0)
                    CHECK(members[m].len == strlen(want->text) &&
                          memcmp(members[m].text, want->text, members[m].len) ==
                              0);
            }
            free(copy);
        }
}

static void salvage_at_any_depth(void)
{
    enum { DEPTH = 1000000 };
    struct jrc_json_member members[MEMBERS];
    char *text = malloc(2 * DEPTH + 32);
    size_t len;

    if (!text)
        abort();
    memcpy(members, wanted, sizeof wanted);
    len = (size_t)sprintf(text, "{\"result\":");
    memset(text + len, '[', DEPTH);
    memset(text + len + DEPTH, ']', DEPTH);
    len += 2 * DEPTH;
    len += (size_t)sprintf(text + len, ",\"id\":7}");
    CHECK(jrc_json_salvage(text, len, members, MEMBERS));
    CHECK(members[RESULT].len == 2 * DEPTH);
    CHECK(members[ID].type == JRC_JSON_NUMBER && members[ID].text[0] == '7');
    free(text);
}

int main(void)
{
    members_of_what_is_accepted();
    names_of_any_ascii();
    names_cut_within_an_escape();
    no_members_of_what_is_refused();
    salvage_agrees_with_the_scan();
    salvage_finds_what_is_plain_to_see();
    salvage_of_every_prefix();
    salvage_at_any_depth();
    return check_done();
}
