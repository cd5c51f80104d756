/* The scanner accepts what a plain recursive reading of RFC 8259 accepts and
 * finds the same members, with SIMD, without, and wherever the text lies.
 * Salvage finds the same in what is right, and stays inside what is not. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "portable_scan.h"
#include "wire/json_recover.h"
#undef jrc_json_scan

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "{\"jsonrpc\":\"2.0\",\"id\":70001,\"result\":{\"id\":1234,\"name\":"
    "\"Petros\",\"roles\":[\"admin\",\"user\"]}}",
    "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":"
    "\"Method not found\"},\"id\":\"1\"}",
    "{\"result\":[1,-0,2.5e+10,0.1E-2,123456789012345678901234567890],"
    "\"id\":null}",
    "{\"i\\u0064\":1,\"id\":2,\"\\u0072esult\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
    "{\"result\":\"\xCE\xA0\xCE\xAD\xCF\x84\xCF\x81\xCE\xBF\xCF\x82 "
    "\xE2\x82\xAC \xF0\x9D\x84\x9E \xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\"}",
    "[\"\\ud834\\udd1e\",\"\\ud800\",\"\",[[[[[[]]]]],{\"a\":{}}]",
    " { \"id\" : 7 ,\r\n\t\"result\" : [ true , false , null ] } ",
    "{\"id\":{\"id\":[{\"result\":1}]},\"result\":\"0123456789abcdef0123456789"
    "abcdef0123456789abcdef\"}",
    "[\"\x80\",\"\xC0\x80\",\"\xED\xA0\x80\",\"\xF4\x90\x80\x80\"]",
    NULL,
};

enum { ID, RESULT, MEMBERS };

static const struct jrc_json_member wanted[MEMBERS] = {
    [ID] = {.name = "id", .name_len = 2},
    [RESULT] = {.name = "result", .name_len = 6},
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* ---- The reference: the grammar, a function for each rule -------------- */

struct reader {
    const unsigned char *text;
    size_t len, at;
    unsigned depth, max_depth;
    enum jrc_json_error error;
    struct jrc_json_member members[MEMBERS];
    char name[16]; /* of the last string, decoded as far as needed */
    size_t name_len;
};

static bool fail(struct reader *reader, enum jrc_json_error error)
{
    if (reader->error == JRC_JSON_OK)
        reader->error = error;
    return false;
}

static int peek(const struct reader *reader)
{
    return reader->at < reader->len ? reader->text[reader->at] : -1;
}

static bool take(struct reader *reader, const char *any)
{
    int c = peek(reader);

    if (c <= 0 || !strchr(any, c))
        return false;
    reader->at++;
    return true;
}

static void white_space(struct reader *reader)
{
    while (take(reader, " \t\r\n"))
        ;
}

static void add_to_name(struct reader *reader, unsigned point)
{
    if (reader->name_len < sizeof reader->name)
        reader->name[reader->name_len] = (char)(point < 0x80 ? point : 0xFF);
    reader->name_len++;
}

/* Decodes first, then checks the result. */
static bool utf8_sequence(struct reader *reader)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned lead = reader->text[reader->at];
    size_t size = lead >= 0xF8   ? 0
                  : lead >= 0xF0 ? 4
                  : lead >= 0xE0 ? 3
                  : lead >= 0xC0 ? 2
                                 : 0;
    unsigned point = size ? lead & (0xFFu >> (size + 1)) : 0;

    if (size == 0 || reader->len - reader->at < size)
        return fail(reader, JRC_JSON_UTF8);
    for (size_t i = 1; i < size; i++) {
        unsigned next = reader->text[reader->at + i];
        if (next / 64 != 2)
            return fail(reader, JRC_JSON_UTF8);
        point = point * 64 + next % 64;
    }
    if (point < least[size] || point > 0x10FFFF || point / 0x800 == 0x1B)
        return fail(reader, JRC_JSON_UTF8);
    reader->at += size;
    add_to_name(reader, point);
    return true;
}

static bool escape(struct reader *reader)
{
    static const char hex[] = "0123456789abcdef0123456789ABCDEF";
    static const char pairs[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    unsigned point = 0;
    int c = peek(reader);

    if (take(reader, "u")) {
        for (int i = 0; i < 4; i++) {
            c = peek(reader);
            if (!take(reader, hex))
                return fail(reader, JRC_JSON_SYNTAX);
            point = point * 16 + (unsigned)(strchr(hex, c) - hex) % 16;
        }
        add_to_name(reader, point);
        return true;
    }
    if (!take(reader, "\"\\/bfnrt"))
        return fail(reader, JRC_JSON_SYNTAX);
    for (size_t i = 0; i < sizeof pairs - 1; i += 2)
        if (pairs[i] == c)
            add_to_name(reader, (unsigned char)pairs[i + 1]);
    return true;
}

static bool string(struct reader *reader)
{
    reader->name_len = 0;
    if (!take(reader, "\""))
        return fail(reader, JRC_JSON_SYNTAX);
    while (!take(reader, "\"")) {
        int c = peek(reader);
        if (c < 0x20)
            return fail(reader, JRC_JSON_SYNTAX);
        if (c >= 0x80) {
            if (!utf8_sequence(reader))
                return false;
        } else if (take(reader, "\\")) {
            if (!escape(reader))
                return false;
        } else {
            add_to_name(reader, (unsigned)c);
            reader->at++;
        }
    }
    return true;
}

static bool digits(struct reader *reader)
{
    if (!take(reader, "0123456789"))
        return fail(reader, JRC_JSON_SYNTAX);
    while (take(reader, "0123456789"))
        ;
    return true;
}

static bool number(struct reader *reader)
{
    take(reader, "-");
    if (!take(reader, "0") && !digits(reader))
        return false;
    if (take(reader, ".") && !digits(reader))
        return false;
    if (take(reader, "eE")) {
        take(reader, "+-");
        return digits(reader);
    }
    return true;
}

static bool literal(struct reader *reader, const char *word)
{
    for (; *word; word++)
        if (peek(reader) != *word || !take(reader, word))
            return fail(reader, JRC_JSON_SYNTAX);
    return true;
}

static bool value(struct reader *reader);

static bool member(struct reader *reader)
{
    struct jrc_json_member *found = NULL;

    white_space(reader);
    if (!string(reader))
        return false;
    for (size_t i = 0; i < MEMBERS && reader->depth == 1; i++)
        if (reader->name_len == wanted[i].name_len &&
            memcmp(reader->name, wanted[i].name, reader->name_len) == 0)
            found = &reader->members[i];
    white_space(reader);
    if (!take(reader, ":"))
        return fail(reader, JRC_JSON_SYNTAX);
    white_space(reader);

    size_t begin = reader->at;
    if (!value(reader))
        return false;
    if (found && found->count++ == 0) {
        found->text = (const char *)reader->text + begin;
        found->len = reader->at - begin;
    }
    return true;
}

static bool container(struct reader *reader, const char *close,
                      bool (*item)(struct reader *reader))
{
    if (reader->depth == reader->max_depth)
        return fail(reader, JRC_JSON_DEPTH);
    reader->depth++;
    reader->at++;
    white_space(reader);
    if (!take(reader, close)) {
        do {
            if (!item(reader))
                return false;
            white_space(reader);
        } while (take(reader, ","));
        if (!take(reader, close))
            return fail(reader, JRC_JSON_SYNTAX);
    }
    reader->depth--;
    return true;
}

static bool value(struct reader *reader)
{
    white_space(reader);
    switch (peek(reader)) {
    case '{':
        return container(reader, "}", member);
    case '[':
        return container(reader, "]", value);
    case '"':
        return string(reader);
    case 't':
        return literal(reader, "true");
    case 'f':
        return literal(reader, "false");
    case 'n':
        return literal(reader, "null");
    default:
        return number(reader);
    }
}

static bool whole_text(struct reader *reader)
{
    if (!value(reader))
        return false;
    white_space(reader);
    return reader->at == reader->len || fail(reader, JRC_JSON_SYNTAX);
}

/* ---- What must hold ---------------------------------------------------- */

static bool same_span(const struct jrc_json_member *a, const char *a_text,
                      const struct jrc_json_member *b, const char *b_text)
{
    if (a->count != b->count || a->len != b->len || !a->text != !b->text)
        return false;
    return !a->text || a->text - a_text == b->text - b_text;
}

static void check_member(const struct jrc_json_member *member, const char *text,
                         size_t len, unsigned max_depth)
{
    struct jrc_json_report report;

    require((member->type == JRC_JSON_NONE) == (member->count == 0));
    if (member->count == 0)
        return;
    require(member->text > text && member->len > 0);
    require(member->text + member->len < text + len);
    require(
        jrc_json_scan(member->text, member->len, max_depth, NULL, 0, &report));
    require(report.type == member->type);
    require(!jrc_json_is_space((unsigned char)member->text[0]));
    require(!jrc_json_is_space((unsigned char)member->text[member->len - 1]));
}

static void check_salvage(const char *text, size_t len,
                          const struct jrc_json_member *scanned)
{
    struct jrc_json_member members[MEMBERS];
    unsigned found = 0;

    memcpy(members, wanted, sizeof wanted);
    bool any = jrc_json_salvage(text, len, members, MEMBERS);
    for (size_t i = 0; i < MEMBERS; i++) {
        found += members[i].count;
        if (scanned)
            require(same_span(&members[i], text, &scanned[i], text) &&
                    members[i].type == scanned[i].type);
        if (members[i].count == 0)
            continue;
        require(members[i].text > text && members[i].len > 0);
        require(members[i].text + members[i].len < text + len);
        require(members[i].type ==
                jrc_json_type_of[(unsigned char)members[i].text[0]]);
    }
    require(any == (found > 0));
}

static void check_report(const struct jrc_json_report *report, bool accepted,
                         size_t len)
{
    require(accepted == (report->error == JRC_JSON_OK));
    require(accepted == (report->rule == NULL));
    require(accepted == (report->type != JRC_JSON_NONE));
    require(report->at <= len);
}

/* The same from another scanner, or for the same text at another address. */
static void check_twin(bool (*scan)(const char *, size_t, unsigned,
                                    struct jrc_json_member *, size_t,
                                    struct jrc_json_report *),
                       const char *text, size_t len, size_t shift,
                       unsigned max_depth, const struct reader *reader,
                       const struct jrc_json_report *want)
{
    struct jrc_json_member members[MEMBERS];
    struct jrc_json_report report;
    char *block = malloc(shift + len); /* never 0, since shift is not */
    char *copy = block + shift;

    require(block != NULL);
    memcpy(copy, text, len);
    memcpy(members, wanted, sizeof wanted);
    bool accepted = scan(copy, len, max_depth, members, MEMBERS, &report);
    check_report(&report, accepted, len);
    require(report.error == want->error && report.at == want->at);
    require(report.rule == want->rule || strcmp(report.rule, want->rule) == 0);
    require(report.type == want->type);
    for (size_t i = 0; i < MEMBERS; i++)
        if (accepted)
            require(same_span(&members[i], copy, &reader->members[i],
                              (const char *)reader->text));
        else
            require(members[i].count == 0 && members[i].text == NULL);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    unsigned max_depth = 1 + (unsigned)len % 8 * 10;
    const char *text = (const char *)data;
    struct jrc_json_member members[MEMBERS];
    struct jrc_json_report report;
    struct reader reader = {.text = data, .len = len, .max_depth = max_depth};

    memcpy(members, wanted, sizeof wanted);
    bool accepted =
        jrc_json_scan(text, len, max_depth, members, MEMBERS, &report);
    require(accepted == whole_text(&reader));
    require(report.error == reader.error);
    check_report(&report, accepted, len);

    for (size_t i = 0; i < MEMBERS; i++)
        check_member(&members[i], text, len, max_depth);
    check_twin(jrc_json_scan, text, len, 1 + len % 15, max_depth, &reader,
               &report);
    check_twin(portable_scan, text, len, 8, max_depth, &reader, &report);
    check_salvage(text, len, accepted ? members : NULL);
    return 0;
}
