#include "wire/response.h"

#include "wire/json_recover.h"
#include "wire/json_scan.h"
#include "wire/response_id.h"

#include <stdbool.h>
#include <string.h>

#define TEXT_AND_SIZE(text) (text), (sizeof(text) - 1)

enum { JSONRPC, ID, RESULT, ERROR, METHOD, MEMBERS };

static const struct jrc_json_member wanted[MEMBERS] = {
    [JSONRPC] = {.name = "jsonrpc", .name_len = 7},
    [ID] = {.name = "id", .name_len = 2},
    [RESULT] = {.name = "result", .name_len = 6},
    [ERROR] = {.name = "error", .name_len = 5},
    [METHOD] = {.name = "method", .name_len = 6},
};

/* The digits of an id, which may be those of a string. */
static const char *id_digits(const struct jrc_json_member *id)
{
    return id->text + (id->type == JRC_JSON_STRING);
}

/* An id as we write it, or a string that contains one.  0: anything else. */
static uint64_t read_id(const struct jrc_json_member *id)
{
    bool is_string = id->type == JRC_JSON_STRING;
    uint64_t number = 0;

    if (!is_string && id->type != JRC_JSON_NUMBER)
        return 0;
    const char *end = id->text + id->len - is_string;
    return jrc_response_id(id_digits(id), end, &number) == end ? number : 0;
}

static void invalid(struct jrc_response *response, const char *rule)
{
    response->kind = JRC_RESPONSE_INVALID;
    response->json = rule;
    response->json_len = strlen(rule);
}

static bool is_known_version(const struct jrc_json_member *version)
{
    if (version->type == JRC_JSON_NONE)
        return true;
    return version->type == JRC_JSON_STRING && version->len == 5 &&
           (memcmp(version->text, "\"2.0\"", 5) == 0 ||
            memcmp(version->text, "\"1.0\"", 5) == 0);
}

/* The text is not JSON: all that remains is to fail its call, if the id can
 * still be found. */
static void read_broken(const char *payload, size_t len, const char *rule,
                        struct jrc_response *response)
{
    struct jrc_json_member id = wanted[ID];

    response->kind = JRC_RESPONSE_IGNORED;
    if (!jrc_json_salvage(payload, len, &id, 1))
        return;
    if (id.type == JRC_JSON_STRING &&
        (id.len < 2 || id.text[id.len - 1] != '"'))
        return;
    response->id = id.count == 1 ? read_id(&id) : 0;
    if (response->id != 0)
        invalid(response, rule);
}

static void set_value(struct jrc_response *response,
                      enum jrc_response_kind kind,
                      const struct jrc_json_member *value)
{
    response->kind = kind;
    response->json = value->text;
    response->json_len = value->len;
}

/* An integer that fits into the type; 0: anything else. */
static int64_t read_integer(const char *text, size_t len)
{
    bool negative = len > 0 && *text == '-';
    int64_t number = 0;

    for (size_t i = negative; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, text[i] - '0', &number))
            return 0;
    }
    /* Built as a negative number, of which there is one more than of positive
     * ones. */
    if (!negative && __builtin_sub_overflow(0, number, &number))
        return 0;
    return number;
}

static int64_t read_code(const struct jrc_json_member *error,
                         unsigned max_depth)
{
    struct jrc_json_member code = {.name = "code", .name_len = 4};
    struct jrc_json_report report;

    if (error->type != JRC_JSON_OBJECT ||
        !jrc_json_scan(error->text, error->len, max_depth, &code, 1, &report) ||
        code.type != JRC_JSON_NUMBER || code.count > 1)
        return 0;
    return read_integer(code.text, code.len);
}

/* ---- the way of nearly all ---- */

static bool begins(const char *p, const char *end, const char *text, size_t len)
{
    return (size_t)(end - p) > len && memcmp(p, text, len) == 0;
}

/* The place after the colon, or NULL if there is none. */
static inline const char *skip_colon(const char *p, const char *end)
{
    p = jrc_json_skip(p, end);
    return p < end && *p == ':' ? jrc_json_skip(p + 1, end) : NULL;
}

/* Read an object with "jsonrpc": "2.0", "id": a number, and "result", once
 * each, in any order, and nothing else.  False: it may still be any
 * response. */
static bool read_plain(const char *p, const char *end, unsigned max_depth,
                       struct jrc_response *response)
{
    bool has_version = false;

    if (p == end || *p != '{')
        return false;
    do {
        p = jrc_json_skip(p + 1, end);
        if (!has_version && begins(p, end, TEXT_AND_SIZE("\"jsonrpc\""))) {
            p = skip_colon(p + 9, end);
            if (p == NULL || !begins(p, end, TEXT_AND_SIZE("\"2.0\"")))
                return false;
            p += 5;
            has_version = true;
        } else if (response->id == 0 &&
                   begins(p, end, TEXT_AND_SIZE("\"id\""))) {
            p = skip_colon(p + 4, end);
            response->id_digits = p;
            p = p != NULL ? jrc_response_id(p, end, &response->id) : NULL;
        } else if (response->json == NULL &&
                   begins(p, end, TEXT_AND_SIZE("\"result\""))) {
            response->json = skip_colon(p + 8, end);
            if (response->json == NULL)
                return false;
            p = jrc_json_value_end(response->json, end, max_depth - 1);
            if (p != NULL)
                response->json_len = (size_t)(p - response->json);
        } else {
            return false;
        }
        if (p == NULL)
            return false;
        p = jrc_json_skip(p, end);
    } while (p < end && *p == ',');
    return p < end && *p == '}' && jrc_json_skip(p + 1, end) == end &&
           response->id != 0 && response->json != NULL;
}

void jrc_response_read(const char *payload, size_t len, unsigned max_depth,
                       struct jrc_response *response)
{
    struct jrc_json_member members[MEMBERS];
    struct jrc_json_report report;

    *response = (struct jrc_response){.kind = JRC_RESPONSE_RESULT};
    if (read_plain(payload, payload + len, max_depth, response))
        return;
    *response = (struct jrc_response){.kind = JRC_RESPONSE_IGNORED};
    memcpy(members, wanted, sizeof members);
    if (!jrc_json_scan(payload, len, max_depth, members, MEMBERS, &report)) {
        read_broken(payload, len, report.rule, response);
        return;
    }
    const struct jrc_json_member *result = &members[RESULT];
    const struct jrc_json_member *error = &members[ERROR];
    bool has_result = result->type != JRC_JSON_NONE;
    bool has_error =
        error->type != JRC_JSON_NONE && error->type != JRC_JSON_NULL;

    if (members[ID].type == JRC_JSON_NONE ||
        (members[METHOD].type != JRC_JSON_NONE && !has_result && !has_error)) {
        response->kind = JRC_RESPONSE_IGNORED;
        return;
    }
    response->id = read_id(&members[ID]);
    bool twice = false;
    for (int i = 0; i < METHOD; i++)
        twice = twice || members[i].count > 1;
    if (response->id == 0 && members[ID].type == JRC_JSON_NULL && has_error &&
        !twice && is_known_version(&members[JSONRPC]))
        set_value(response, JRC_RESPONSE_REJECTED, error);
    else if (response->id == 0)
        response->kind = JRC_RESPONSE_NOBODYS;
    else if (twice)
        invalid(response, "a member occurs twice");
    else if (!is_known_version(&members[JSONRPC]))
        invalid(response, "\"jsonrpc\" is neither \"2.0\" nor \"1.0\"");
    else if (has_error && has_result && result->type != JRC_JSON_NULL)
        invalid(response, "both result and error are present");
    else if (has_error)
        set_value(response, JRC_RESPONSE_ERROR, error);
    else if (has_result) {
        set_value(response, JRC_RESPONSE_RESULT, result);
        response->id_digits = id_digits(&members[ID]);
    } else
        invalid(response, "neither result nor error is present");
    if (response->kind == JRC_RESPONSE_ERROR ||
        response->kind == JRC_RESPONSE_REJECTED)
        response->code = read_code(error, max_depth);
}
