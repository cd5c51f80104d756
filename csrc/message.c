#include "message.h"

#include "json_scan.h"
#include "netstring.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_AND_SIZE(text) (text), (sizeof(text) - 1)

static const char BEFORE_ID[] = "{\"jsonrpc\":\"2.0\",\"id\":";
static const char BEFORE_METHOD[] = ",\"method\":\"";
static const char NOTIFICATION[] = "{\"jsonrpc\":\"2.0\",\"method\":\"";
static const char BEFORE_PARAMS[] = "\",\"params\":";

/* ---- requests ---- */

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            return false;
    }
    return true;
}

/* The text as a JSON string with its quotes, in new memory. */
static char *escaped(const char *text, size_t len, size_t *size)
{
    static const char hex[] = "0123456789abcdef";
    char *out = len > (SIZE_MAX - 2) / 6 ? NULL : malloc(len * 6 + 2);
    size_t n = 0;

    if (out == NULL)
        return NULL;
    out[n++] = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20) {
            memcpy(out + n, "\\u00", 4);
            out[n + 4] = hex[c >> 4];
            out[n + 5] = hex[c & 15];
            n += 6;
        } else {
            out[n++] = (char)c;
        }
    }
    out[n++] = '"';
    *size = n;
    return out;
}

static bool set_method(struct jrc_message *message, const char *method,
                       size_t len, struct jrc_fault *fault)
{
    struct jrc_json_report report;

    message->method = method;
    message->method_len = len;
    if (len == 0) {
        *fault = (struct jrc_fault){"method is empty", 0};
        return false;
    }
    if (is_plain(method, len))
        return true;
    size_t size = 0;
    message->owned_method = escaped(method, len, &size);
    if (message->owned_method == NULL) {
        *fault = (struct jrc_fault){NULL, 0};
        return false;
    }
    if (!jrc_json_scan(message->owned_method, size, 1, NULL, 0, &report)) {
        *fault = (struct jrc_fault){"method is not valid UTF-8", 0};
        return false;
    }
    message->method = message->owned_method + 1;
    message->method_len = size - 2;
    return true;
}

/* Rewrite 'single' quotes as JSON has them, all else unchanged.  Stops when
 * out_limit bytes are written; returns how many were read for them.
 *
 * json-c reads this and more, but it clamps large integers, cuts names at NUL
 * and drops repeated names without a word (see the tests): a rewriting that
 * touches quotes only can not change a value. */
static size_t requote(const char *text, size_t len, char *out, size_t out_limit,
                      size_t *out_len)
{
    char quote = 0; /* the one that ends the string we are in */
    size_t n = 0;
    size_t i = 0;

    for (; i < len && n < out_limit; i++) {
        char c = text[i];
        if (quote == 0) {
            if (c == '"' || c == '\'')
                quote = c;
            out[n++] = c == '\'' ? '"' : c;
        } else if (c == '\\' && i + 1 < len) {
            i++;
            if (text[i] != '\'')
                out[n++] = '\\';
            out[n++] = text[i];
        } else if (c == quote) {
            quote = 0;
            out[n++] = '"';
        } else {
            if (c == '"')
                out[n++] = '\\';
            out[n++] = c;
        }
    }
    *out_len = n;
    return i;
}

static bool is_container(enum jrc_json_type type)
{
    return type == JRC_JSON_ARRAY || type == JRC_JSON_OBJECT;
}

bool jrc_params_check(const char *params, size_t params_len, bool lenient,
                      char **owned, size_t *owned_len, struct jrc_fault *fault)
{
    struct jrc_json_report report;

    *owned = NULL;
    if (jrc_json_scan(params, params_len, JRC_JSON_DEPTH_MAX, NULL, 0,
                      &report)) {
        if (is_container(report.type))
            return true;
        *fault = (struct jrc_fault){"params must be an array or an object", 0};
        return false;
    }
    *fault = (struct jrc_fault){report.rule, report.at};
    if (!lenient || memchr(params, '\'', params_len) == NULL)
        return false;
    /* One byte more than twice: requote() checks its bound between pairs. */
    char *text =
        params_len > SIZE_MAX / 2 - 2 ? NULL : malloc(params_len * 2 + 2);
    if (text == NULL) {
        *fault = (struct jrc_fault){NULL, 0};
        return false;
    }
    size_t len = 0;
    requote(params, params_len, text, SIZE_MAX, &len);
    if (jrc_json_scan(text, len, JRC_JSON_DEPTH_MAX, NULL, 0, &report) &&
        is_container(report.type)) {
        *owned = text;
        *owned_len = len;
        return true;
    }
    fault->rule = report.error == JRC_JSON_OK
                      ? "params must be an array or an object"
                      : report.rule;
    fault->at = requote(params, params_len, text, report.at, &len);
    free(text);
    return false;
}

bool jrc_message_init(struct jrc_message *message, const char *method,
                      size_t method_len, const char *params, size_t params_len,
                      bool lenient, struct jrc_fault *fault)
{
    message->owned_method = message->owned_params = NULL;
    message->params = params;
    message->params_len = params_len;
    if (set_method(message, method, method_len, fault)) {
        size_t len = 0;
        if (params == NULL)
            return true;
        if (jrc_params_check(params, params_len, lenient,
                             &message->owned_params, &len, fault)) {
            if (message->owned_params != NULL) {
                message->params = message->owned_params;
                message->params_len = len;
            }
            return true;
        }
    }
    jrc_message_clear(message);
    return false;
}

void jrc_message_clear(struct jrc_message *message)
{
    free(message->owned_method);
    free(message->owned_params);
    message->owned_method = message->owned_params = NULL;
}

static size_t digits(uint64_t number)
{
    size_t n = 1;

    for (; number >= 10; number /= 10)
        n++;
    return n;
}

static size_t payload_size(const struct jrc_message *message, uint64_t id)
{
    size_t size =
        id == 0 ? sizeof NOTIFICATION - 1
                : sizeof BEFORE_ID - 1 + digits(id) + sizeof BEFORE_METHOD - 1;

    size += message->method_len;
    size += message->params == NULL
                ? 1
                : sizeof BEFORE_PARAMS - 1 + message->params_len;
    return size + 1;
}

size_t jrc_message_frame_size(const struct jrc_message *message, uint64_t id)
{
    return jrc_netstring_frame_size(payload_size(message, id));
}

static char *put(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static char *put_number(char *out, uint64_t number)
{
    size_t n = digits(number);

    for (size_t i = n; i > 0; number /= 10)
        out[--i] = (char)('0' + number % 10);
    return out + n;
}

void jrc_message_write(const struct jrc_message *message, uint64_t id,
                       size_t frame_size, char *out)
{
    size_t size = payload_size(message, id);
    char *end = out + frame_size;

    out += jrc_netstring_header(out, size);
    if (id == 0) {
        out = put(out, TEXT_AND_SIZE(NOTIFICATION));
    } else {
        out = put(out, TEXT_AND_SIZE(BEFORE_ID));
        out = put_number(out, id);
        out = put(out, TEXT_AND_SIZE(BEFORE_METHOD));
    }
    out = put(out, message->method, message->method_len);
    if (message->params != NULL) {
        out = put(out, TEXT_AND_SIZE(BEFORE_PARAMS));
        put(out, message->params, message->params_len);
    } else {
        *out = '"';
    }
    end[-2] = '}';
    end[-1] = ',';
}

/* ---- responses ---- */

enum { JSONRPC, ID, RESULT, ERROR, METHOD, MEMBERS };

static const struct jrc_json_member wanted[MEMBERS] = {
    [JSONRPC] = {.name = "jsonrpc", .name_len = 7},
    [ID] = {.name = "id", .name_len = 2},
    [RESULT] = {.name = "result", .name_len = 6},
    [ERROR] = {.name = "error", .name_len = 5},
    [METHOD] = {.name = "method", .name_len = 6},
};

/* The id as we write it: a decimal without leading zeros, below 2^53; or a
 * string of just that.  0: anything else. */
static uint64_t read_id(const struct jrc_json_member *id)
{
    const char *p = id->text;
    size_t len = id->len;
    uint64_t number = 0;

    if (id->count != 1)
        return 0;
    if (id->type == JRC_JSON_STRING) {
        p++;
        len -= 2;
    } else if (id->type != JRC_JSON_NUMBER) {
        return 0;
    }
    if (len == 0 || len > 16 || p[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(p[i] - '0');
    }
    return number;
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

/* A salvaged value's span is a guess: it may have white space behind it. */
static void trim(struct jrc_json_member *member)
{
    while (member->len > 0 && strchr(" \t\r\n", member->text[member->len - 1]))
        member->len--;
}

/* The text is no JSON: all that can be done is to tell the call, if its id can
 * still be found. */
static void read_broken(const char *payload, size_t len, const char *rule,
                        struct jrc_response *response)
{
    struct jrc_json_member id = wanted[ID];

    response->kind = JRC_RESPONSE_IGNORED;
    if (!jrc_json_salvage(payload, len, &id, 1))
        return;
    trim(&id);
    if (id.type == JRC_JSON_STRING &&
        (id.len < 2 || id.text[id.len - 1] != '"'))
        return;
    response->id = read_id(&id);
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

void jrc_message_read(const char *payload, size_t len, unsigned max_depth,
                      struct jrc_response *response)
{
    struct jrc_json_member members[MEMBERS];
    struct jrc_json_report report;

    memcpy(members, wanted, sizeof members);
    response->id = 0;
    response->json = NULL;
    response->json_len = 0;
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
    if (response->id == 0)
        response->kind = JRC_RESPONSE_NOBODYS;
    else if (!is_known_version(&members[JSONRPC]))
        invalid(response, "\"jsonrpc\" is neither \"2.0\" nor \"1.0\"");
    else if (result->count > 1 || error->count > 1)
        invalid(response, "a member occurs twice");
    else if (has_error && has_result && result->type != JRC_JSON_NULL)
        invalid(response, "both result and error are present");
    else if (has_error)
        set_value(response, JRC_RESPONSE_ERROR, error);
    else if (has_result)
        set_value(response, JRC_RESPONSE_RESULT, result);
    else
        invalid(response, "neither result nor error is present");
}
