/* A connection that remembers an envelope reads every payload like the general
 * reader, which remembers nothing: whatever came before, in whatever order.
 * The payloads of an input are its lines. */
#include "wire/envelope.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 6, MAX_DEPTH = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define V "\"jsonrpc\":\"2.0\""

extern const char *const fuzz_seeds[];
const char *const fuzz_seeds[] = {
    "{" V ",\"id\":7,\"result\":1}\n{" V ",\"id\":70001,\"result\":[\"a\",{}]}",
    "{" V ",\"result\":{\"id\":12},\"id\":1}\n{" V
    ",\"result\":-1.5e3,\"id\":2}",
    "{\"result\":\"abcdefghijklmnopqrstuvwxyz\",\"id\":9," V "}\n"
    "{\"result\":null,\"id\":9007199254740991," V "}",
    "{ \"jsonrpc\": \"2.0\", \"id\": 10, \"result\": [[[0]]] } \n"
    "{ \"jsonrpc\": \"2.0\", \"id\": 11, \"result\": [[[[0]]]] } \n"
    "{ \"jsonrpc\": \"2.0\", \"id\": 12, \"result\": true } ",
    "{\"id\":\"5\",\"error\":null,\"result\":0}\n"
    "{\"id\":\"51\",\"error\":null,\"result\":[1 ]}\n"
    "{\"id\":\"5\\u0031\",\"error\":null,\"result\":2}",
    "{\"id\":1,\"error\":{\"code\":-1}}\n{\"id\":1,\"result\":2}\n"
    "{\"id\":1,\"result\":2,\"id\":1}\n{\"id\":1,\"result\":2}",
    "{\"id\":1,\"result\":\"}\"}\n{\"id\":1,\"result\":2,\"result\":3}\n"
    "{\"id\":01,\"result\":2}\n{\"id\":12345678901234567,\"result\":2}",
    "{\"more\":[1,{\"id\":5}],\"id\":1,\"r\\u0065sult\":{\"a\":[]}}\n"
    "{\"more\":[1,{\"id\":5}],\"id\":2,\"r\\u0065sult\":{\"a\":{}}}",
    NULL,
};

static bool same_place(const char *a, const char *b, const char *text,
                       const char *copy)
{
    return a == NULL || b == NULL ? a == b : a - text == b - copy;
}

/* Both in memory of their exact size, so that ASan sees what is read. */
static void check(struct jrc_envelope *envelope, const char *line, size_t len)
{
    struct jrc_response want, got;
    char *text = malloc(len + (len == 0));
    char *copy = malloc(len + (len == 0));

    memcpy(text, line, len);
    memcpy(copy, line, len);
    jrc_response_read(text, len, MAX_DEPTH, &want);
    jrc_envelope_read(envelope, copy, len, MAX_DEPTH, &got);
    bool same = want.kind == got.kind && want.id == got.id &&
                want.json_len == got.json_len && want.code == got.code &&
                same_place(want.id_digits, got.id_digits, text, copy);
    if (same && want.kind == JRC_RESPONSE_INVALID) /* a rule */
        same = strcmp(want.json, got.json) == 0;
    else if (same)
        same = same_place(want.json, got.json, text, copy);
    if (!same)
        abort();
    free(text);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *lines[LINES], *at = (const char *)data, *end = at + len;
    size_t sizes[LINES], count = 0;

    while (at < end && count < LINES) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        lines[count] = at;
        sizes[count++] = (size_t)(line_end - at);
        at = line_end < end ? line_end + 1 : end;
    }
    struct jrc_envelope envelope = {0};
    for (size_t i = 0; i < count; i++)
        check(&envelope, lines[i], sizes[i]);
    for (size_t i = 0; i < count; i++) /* every payload after every other */
        for (size_t j = 0; j < count; j++) {
            check(&envelope, lines[i], sizes[i]);
            check(&envelope, lines[j], sizes[j]);
        }
    return 0;
}
