/* Whatever is given as method and params: if it is accepted, it makes exactly
 * one frame with exactly one message, strict JSON with the three or four
 * members that we wrote; and lenient params mean what json-c makes of them.
 *
 * The input: a byte of flags, the length of the method, the method, params. */
#include "wire/request.h"

#include "wire/json_scan.h"
#include "wire/netstring.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "\x01\x03"
    "add[1, 'two', \"three\", {'four': 'it\\'s'}]",
    "\x01\x01m{'id': 1234, 'say': 'a \"quoted\" word'}",
    "\x02\x06"
    "a\"b\\c\n[1],\"method\":\"admin\"",
    "\x01\x02\xc3\xa9['\\u0041\\n', -1.5e3, true, null]",
    "\x03\x01x{}",
    NULL,
};

extern const uint64_t fuzz_inputs;
const uint64_t fuzz_inputs = 50000;

static void require(int condition)
{
    if (!condition)
        abort();
}

static struct json_object *parse(const char *text, size_t len, int flags)
{
    struct json_tokener *tokener = json_tokener_new_ex(JRC_JSON_DEPTH_MAX);

    require(tokener != NULL);
    json_tokener_set_flags(tokener, flags);
    struct json_object *tree = json_tokener_parse_ex(tokener, text, (int)len);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        json_object_put(tree);
        tree = NULL;
    }
    json_tokener_free(tokener);
    return tree;
}

/* What json-c reads in the lenient text must be what it reads in ours.  It may
 * refuse texts that we accept (strings are cut at its limits), and the other
 * way round. */
static void check_meaning(const char *params, size_t len, const char *strict,
                          size_t strict_len)
{
    struct json_object *lenient_tree = parse(params, len, 0);
    struct json_object *strict_tree =
        parse(strict, strict_len, JSON_TOKENER_STRICT);

    if (lenient_tree != NULL && strict_tree != NULL)
        require(json_object_equal(lenient_tree, strict_tree));
    json_object_put(lenient_tree);
    json_object_put(strict_tree);
}

/* The frame holds one message: our names, the method, the params, in this
 * order, and nothing besides. */
static void check_frame(const char *frame, size_t size, uint64_t id,
                        const struct jrc_message *message)
{
    struct jrc_json_member members[4] = {
        {.name = "jsonrpc", .name_len = 7},
        {.name = "method", .name_len = 6},
        {.name = "id", .name_len = 2},
        {.name = "params", .name_len = 6},
    };
    bool has_params = message->params != NULL;
    const unsigned wanted[4] = {1, 1, id != 0, has_params};
    struct jrc_json_report report;
    const char *payload;
    size_t len;
    char head[100];

    require(jrc_netstring_decode(frame, size, size, &payload, &len) ==
            (ssize_t)size);
    require(jrc_json_scan(payload, len, JRC_JSON_DEPTH_MAX + 1, members, 4,
                          &report));
    require(report.type == JRC_JSON_OBJECT);
    for (int i = 0; i < 4; i++)
        require(members[i].count == wanted[i]);
    int n = id == 0 ? snprintf(head, sizeof head,
                               "{\"jsonrpc\":\"2.0\",\"method\":\"")
                    : snprintf(head, sizeof head,
                               "{\"jsonrpc\":\"2.0\",\"id\":%llu,"
                               "\"method\":\"",
                               (unsigned long long)id);
    require(memcmp(payload, head, (size_t)n) == 0);
    require(members[1].text == payload + n - 1 &&
            members[1].len == message->method_len + 2);
    const struct jrc_json_member *last = &members[has_params ? 3 : 1];
    const char *end = last->text + last->len;
    while (strchr(" \t\r\n", *end) != NULL)
        end++;
    require(end + 1 == payload + len);
    /* The scanner leaves out the white space around a value. */
    if (has_params)
        require(last->len <= message->params_len);
}

static void check_message(const char *method, size_t method_len,
                          const char *params, size_t params_len, bool lenient)
{
    struct jrc_message message;
    struct jrc_fault fault = {NULL, 0};

    if (!jrc_message_init(&message, method, method_len, params, params_len,
                          lenient, &fault)) {
        require(fault.rule != NULL && fault.at <= params_len + 1);
        require(message.owned_method == NULL && message.owned_params == NULL);
        return;
    }
    if (message.owned_params != NULL)
        check_meaning(params, params_len, message.params, message.params_len);
    for (uint64_t id = 0; id <= 1ULL << 52; id = id * 4096 + 7) {
        size_t size = jrc_message_frame_size(&message, &jrc_netstrings, id);
        char *frame = malloc(size);
        require(frame != NULL);
        jrc_message_write(&message, &jrc_netstrings, id, size, frame);
        check_frame(frame, size, id, &message);
        free(frame);
    }
    jrc_message_clear(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    const char *method = (const char *)data + 2;
    size_t method_len = data[1] < len - 2 ? data[1] : len - 2;
    const char *params = method + method_len;
    size_t params_len = len - 2 - method_len;

    check_message(method, method_len, (data[0] & 2) == 0 ? params : NULL,
                  (data[0] & 2) == 0 ? params_len : 0, (data[0] & 1) != 0);
    return 0;
}
