#include "wire/request.h"

#include "wire/decimal.h"
#include "wire/json_plain.h"
#include "wire/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_AND_SIZE(text) (text), (sizeof(text) - 1)

static const char BEFORE_ID[] = "{\"jsonrpc\":\"2.0\",\"id\":";
static const char BEFORE_METHOD[] = ",\"method\":\"";
static const char NOTIFICATION[] = "{\"jsonrpc\":\"2.0\",\"method\":\"";
static const char BEFORE_PARAMS[] = "\",\"params\":";

/* ---- requests ---- */

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

__attribute__((always_inline)) static inline bool set_method(
    struct jrc_message *message, const char *method, size_t len,
    struct jrc_fault *fault)
{
    struct jrc_json_report report;

    message->method = method;
    message->method_len = len;
    if (len == 0) {
        *fault = (struct jrc_fault){"method is empty", 0};
        return false;
    }
    if (jrc_json_is_plain(method, len))
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

/* Rewrite 'single' quotes as JSON's, and leave everything else unchanged.
 * Stops when out_limit bytes are written; returns how many were read for them.
 *
 * json-c reads this and more, but silently clamps large integers, cuts names at
 * NUL and drops repeated names (see the tests).  A rewriting that touches only
 * quotes cannot change a value. */
static size_t requote(const char *text, size_t len, char *out, size_t out_limit,
                      size_t *out_len)
{
    char quote = 0; /* the one that ends the current string */
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

/* Whether this is one of nearly all params: strict, with nothing around it.
 * Takes a fraction of the time of a scan for members. */
static bool is_strict(const char *params, size_t len)
{
    const char *end = params + len;

    return len > 0 && (*params == '{' || *params == '[') &&
           jrc_json_value_end(params, end, JRC_JSON_DEPTH_MAX) == end;
}

/* Apart, so that what nearly all params take is inlined. */
__attribute__((noinline)) static bool check_slowly(const char *params,
                                                   size_t params_len,
                                                   bool lenient, char **owned,
                                                   size_t *owned_len,
                                                   struct jrc_fault *fault)
{
    struct jrc_json_report report;

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
    /* One byte more than twice the length: requote() checks its limit between
     * pairs. */
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

__attribute__((always_inline)) static inline bool check(
    const char *params, size_t params_len, bool lenient, char **owned,
    size_t *owned_len, struct jrc_fault *fault)
{
    *owned = NULL;
    return is_strict(params, params_len) ||
           check_slowly(params, params_len, lenient, owned, owned_len, fault);
}

bool jrc_params_check(const char *params, size_t params_len, bool lenient,
                      char **owned, size_t *owned_len, struct jrc_fault *fault)
{
    return check(params, params_len, lenient, owned, owned_len, fault);
}

__attribute__((always_inline)) static inline bool init(
    struct jrc_message *message, const char *method, size_t method_len,
    const char *params, size_t params_len, enum jrc_reading reading,
    struct jrc_fault *fault)
{
    size_t len = 0;

    message->owned_method = message->owned_params = NULL;
    message->params = params;
    message->params_len = params_len;
    message->members_len = 0;
    if (!set_method(message, method, method_len, fault) ||
        (params != NULL && reading != JRC_SCANNED &&
         !check(params, params_len, reading == JRC_LENIENT,
                &message->owned_params, &len, fault))) {
        jrc_message_clear(message);
        return false;
    }
    if (message->owned_params != NULL) {
        message->params = message->owned_params;
        message->params_len = len;
    }
    message->size = message->method_len + 2; /* the quote (or more), and '}' */
    if (params != NULL)
        message->size += sizeof BEFORE_PARAMS - 2 + message->params_len;
    return true;
}

bool jrc_message_init(struct jrc_message *message, const char *method,
                      size_t method_len, const char *params, size_t params_len,
                      enum jrc_reading reading, struct jrc_fault *fault)
{
    return init(message, method, method_len, params, params_len, reading,
                fault);
}

bool jrc_message_init_rare(struct jrc_message *message, const char *method,
                           size_t method_len, const char *params,
                           size_t params_len, enum jrc_reading reading,
                           struct jrc_fault *fault)
{
    return init(message, method, method_len, params, params_len, reading,
                fault);
}

bool jrc_message_add(struct jrc_message *message, const char *object,
                     size_t len, struct jrc_fault *fault)
{
    struct jrc_json_member ours[] = {
        {.name = "jsonrpc", .name_len = 7}, {.name = "id", .name_len = 2},
        {.name = "method", .name_len = 6},  {.name = "params", .name_len = 6},
        {.name = "result", .name_len = 6},  {.name = "error", .name_len = 5},
    };
    enum { OURS = sizeof ours / sizeof ours[0] };
    const char *end = object + len;
    struct jrc_json_report report;

    if (!jrc_json_scan(object, len, JRC_JSON_DEPTH_MAX, ours, OURS, &report)) {
        *fault = (struct jrc_fault){report.rule, report.at};
        return false;
    }
    for (int i = 0; i < OURS; i++)
        if (report.type != JRC_JSON_OBJECT || ours[i].type != JRC_JSON_NONE) {
            *fault = (struct jrc_fault){"members must be an object without "
                                        "those of JSON-RPC 2.0",
                                        0};
            return false;
        }
    const char *first = jrc_json_skip(object, end) + 1;
    while (*--end != '}')
        ;
    if (jrc_json_skip(first, end) == end)
        return true; /* it is empty */
    message->members = first;
    message->members_len = (size_t)(end - first);
    message->size += 1 + message->members_len;
    return true;
}

void jrc_message_clear(struct jrc_message *message)
{
    if (message->owned_method != NULL || message->owned_params != NULL) {
        free(message->owned_method);
        free(message->owned_params);
    }
    message->owned_method = message->owned_params = NULL;
}

size_t jrc_message_frame_size(const struct jrc_message *message,
                              const struct jrc_framing *framing, uint64_t id)
{
    size_t before = id == 0 ? sizeof NOTIFICATION - 1
                            : sizeof BEFORE_ID - 1 + jrc_decimal_size(id) +
                                  sizeof BEFORE_METHOD - 1;

    return framing->frame_size(before + message->size);
}

/* Put text before end; returns where it begins.  Most texts are short, and two
 * overlapping words take half as long as memcpy(). */
static inline char *put_before(char *end, const char *text, size_t len)
{
    char *out = end - len;

    if (len < 8 || len > 16)
        return memcpy(out, text, len);
    uint64_t head, tail;
    memcpy(&head, text, 8);
    memcpy(&tail, text + len - 8, 8);
    memcpy(out, &head, 8);
    memcpy(end - 8, &tail, 8);
    return out;
}

/* Backwards: the size of a number is known once it is written. */
__attribute__((always_inline)) static inline void write_frame(
    const struct jrc_message *message, const struct jrc_framing *framing,
    uint64_t id, size_t frame_size, char *out)
{
    char *end = out + frame_size - framing->tail_size;
    char *p = end;

    if (framing->tail_size > 0)
        *end = framing->tail;
    *--p = '}';
    if (message->members_len > 0) {
        p = put_before(p, message->members, message->members_len);
        *--p = ',';
    }
    if (message->params != NULL) {
        p = put_before(p, message->params, message->params_len);
        p = put_before(p, TEXT_AND_SIZE(BEFORE_PARAMS));
    } else {
        *--p = '"';
    }
    p = put_before(p, message->method, message->method_len);
    if (id == 0) {
        p = put_before(p, TEXT_AND_SIZE(NOTIFICATION));
    } else {
        p = put_before(p, TEXT_AND_SIZE(BEFORE_METHOD));
        p = jrc_decimal_before8(p, id);
        p = put_before(p, TEXT_AND_SIZE(BEFORE_ID));
    }
    framing->begin(p, (size_t)(end - p));
}

void jrc_message_write(const struct jrc_message *message,
                       const struct jrc_framing *framing, uint64_t id,
                       size_t frame_size, char *out)
{
    write_frame(message, framing, id, frame_size, out);
}

void jrc_message_write_rare(const struct jrc_message *message,
                            const struct jrc_framing *framing, uint64_t id,
                            size_t frame_size, char *out)
{
    write_frame(message, framing, id, frame_size, out);
}
